package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
)

// Transports, as they stand before an address in listen.
const (
	overUDP = "udp"
	overTCP = "tcp"
	overTLS = "tls"
)

// endpoint is an address to listen on.
type endpoint struct{ transport, addr string }

// parseEndpoint reads host:port, which is UDP, or transport://host:port.
func parseEndpoint(text string) (endpoint, error) {
	e := endpoint{transport: overUDP, addr: text}
	if transport, addr, ok := strings.Cut(text, "://"); ok {
		e = endpoint{transport, addr}
	}
	switch e.transport {
	case overUDP, overTCP, overTLS:
	default:
		return e, conf.Invalid("listen", "an address is host:port, or begins with udp://, tcp:// or tls://", "change %q", text)
	}
	if _, _, err := net.SplitHostPort(e.addr); err != nil {
		return e, conf.Invalid("listen", "an address is host:port", "write \":2055\" for UDP on all interfaces or \"tcp://:4739\" for IPFIX over TCP, not %q", text)
	}
	return e, nil
}

// streamConfig is about IPFIX over TCP and TLS.
type streamConfig struct {
	MaxConnections int           `yaml:"max_connections" doc:"connections at a time; each may take 64KiB, with TLS 128KiB. Where all are taken, a source with fewer than another gets one of its"`
	MaxPerSource   int           `yaml:"max_per_source" doc:"connections at a time from one address"`
	IdleTimeout    time.Duration `yaml:"idle_timeout" doc:"a connection over which nothing came for so long is closed; its templates are forgotten"`
	TLS            tlsConfig     `yaml:"tls" doc:"for tls:// in listen"`
}

// tlsConfig says who we are and whom we trust.
type tlsConfig struct {
	CertFile           string   `yaml:"cert_file" doc:"our certificate and its chain, PEM; read again when it changes"`
	KeyFile            string   `yaml:"key_file" doc:"its private key, PEM"`
	ClientCAFile       string   `yaml:"client_ca_file" doc:"who signs exporters' certificates, PEM; empty: exporters need none"`
	ClientCertificates string   `yaml:"client_certificates" doc:"with client_ca_file: required, or optional"`
	ClientNames        []string `yaml:"client_names" doc:"DNS names or addresses, of which an exporter's certificate must hold one; empty: any that client_ca_file vouches for"`
}

// Values of client_certificates.
const (
	certificateRequired = "required"
	certificateOptional = "optional"
)

func defaultStreams() streamConfig {
	return streamConfig{
		MaxConnections: 1024, MaxPerSource: 16, IdleTimeout: time.Hour,
		TLS: tlsConfig{ClientCertificates: certificateRequired},
	}
}

// Validate names every key that breaks a rule.
func (c *streamConfig) Validate() error {
	var errs []error
	if c.MaxConnections < 1 || c.MaxConnections > 1<<20 {
		errs = append(errs, conf.Invalid("max_connections", "from 1 to 1048576", "change %d; 1024 is the default", c.MaxConnections))
	}
	if c.MaxPerSource < 1 || c.MaxPerSource > 1<<20 {
		errs = append(errs, conf.Invalid("max_per_source", "from 1 to 1048576", "change %d; 16 is the default", c.MaxPerSource))
	}
	if c.IdleTimeout < time.Second || c.IdleTimeout > 7*24*time.Hour {
		errs = append(errs, conf.Invalid("idle_timeout", "from 1s to 168h", "change %s; 1h is the default", c.IdleTimeout))
	}
	return errors.Join(append(errs, conf.Under("tls", c.TLS.Validate()))...)
}

// Validate names every key that breaks a rule. Whether the files can be read is
// found out at the start.
func (c *tlsConfig) Validate() error {
	var errs []error
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, conf.Invalid("cert_file", "cert_file and key_file go together", "set both, or neither"))
	}
	switch c.ClientCertificates {
	case certificateRequired, certificateOptional:
	default:
		errs = append(errs, conf.Invalid("client_certificates", "required or optional", "change %q; leave client_ca_file empty to ask for none", c.ClientCertificates))
	}
	if len(c.ClientNames) > 0 && c.ClientCAFile == "" {
		errs = append(errs, conf.Invalid("client_names", "needs client_ca_file", "names count only in certificates that somebody vouches for: set client_ca_file"))
	}
	return errors.Join(errs...)
}

// validateListen checks the addresses to listen on, and that they have what they need.
func validateListen(addrs []string, t *tlsConfig) error {
	if len(addrs) == 0 {
		return conf.Invalid("listen", "at least one address is needed", "set it to [\":2055\"]")
	}
	var errs []error
	for _, text := range addrs {
		e, err := parseEndpoint(text)
		if err == nil && e.transport == overTLS && t.CertFile == "" {
			err = conf.Invalid("listen", "tls needs a certificate", "set streams.tls.cert_file and streams.tls.key_file for %q", text)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (e endpoint) String() string { return fmt.Sprintf("%s://%s", e.transport, e.addr) }
