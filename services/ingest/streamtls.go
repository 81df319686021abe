package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificates has the files of tlsConfig, and reads them again when they change:
// a connection that begins after that meets the new ones. While what is there
// cannot be used, the last that could goes on.
type certificates struct {
	cfg      tlsConfig
	log      *slog.Logger
	failures prometheus.Counter

	mu     sync.Mutex
	loaded [3]fileStamp
	tried  [3]fileStamp
	tls    *tls.Config
}

// fileStamp tells whether a file is another than it was.
type fileStamp struct {
	modified time.Time
	size     int64
}

func newCertificates(cfg tlsConfig, log *slog.Logger, failures prometheus.Counter) (*certificates, error) {
	c := &certificates{cfg: cfg, log: log, failures: failures}
	c.loaded = c.stamps()
	var err error
	c.tls, err = c.load()
	return c, err
}

// server is what to begin a connection with.
func (c *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}
}

// current reads the files if they have changed.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.stamps()
	if stamps == c.loaded || stamps == c.tried {
		return c.tls
	}
	c.tried = stamps
	fresh, err := c.load()
	if err != nil {
		c.failures.Inc()
		c.log.Warn("the certificates have changed and cannot be used; the former ones stay", "error", err)
		return c.tls
	}
	c.tls, c.loaded = fresh, stamps
	c.log.Info("certificates read again", "cert_file", c.cfg.CertFile)
	return c.tls
}

// stamps are those of the three files; a file that is not there has none.
func (c *certificates) stamps() (s [3]fileStamp) {
	for i, name := range []string{c.cfg.CertFile, c.cfg.KeyFile, c.cfg.ClientCAFile} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			s[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func (c *certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cfg.CertFile, c.cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot use streams.tls.cert_file and key_file: %w", err)
	}
	// Sessions are long: there is nothing to gain by resuming them, and whom we
	// trust is asked each time.
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: true}
	if c.cfg.ClientCAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.cfg.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read streams.tls.client_ca_file: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("streams.tls.client_ca_file: %s holds no certificate: it must be PEM (BEGIN CERTIFICATE)", c.cfg.ClientCAFile)
	}
	t.ClientAuth = tls.RequireAndVerifyClientCert
	if c.cfg.ClientCertificates == certificateOptional {
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if len(c.cfg.ClientNames) > 0 {
		t.VerifyConnection = c.checkName
	}
	return t, nil
}

// checkName wants one of the names in the exporter's certificate, if it has shown
// one (RFC 7011 §11.3).
func (c *certificates) checkName(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	if slices.ContainsFunc(c.cfg.ClientNames, func(name string) bool { return leaf.VerifyHostname(name) == nil }) {
		return nil
	}
	return errors.New("the exporter's certificate has none of streams.tls.client_names")
}
