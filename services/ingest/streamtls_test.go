package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// keys are an authority, and what it signs.
type keys struct {
	t    *testing.T
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newKeys(t *testing.T) *keys {
	t.Helper()
	k := &keys{t: t, dir: t.TempDir()}
	k.key, k.ca = k.sign("authority", nil)
	k.write("ca.pem", "CERTIFICATE", k.ca.Raw)
	k.serve("ingest.example")
	return k
}

// serve writes a new certificate for the server.
func (k *keys) serve(name string) {
	key, cert := k.sign(name, nil)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		k.t.Fatal(err)
	}
	k.write("cert.pem", "CERTIFICATE", cert.Raw)
	k.write("key.pem", "PRIVATE KEY", der)
}

// sign makes a certificate; the first is the authority's.
func (k *keys) sign(name string, change func(*x509.Certificate)) (*ecdsa.PrivateKey, *x509.Certificate) {
	k.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.t.Fatal(err)
	}
	k.next++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(k.next), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, parentKey := k.ca, k.key
	if parent == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		parent, parentKey = c, key
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		k.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		k.t.Fatal(err)
	}
	return key, cert
}

func (k *keys) path(name string) string { return filepath.Join(k.dir, name) }

func (k *keys) write(name, kind string, der []byte) {
	k.t.Helper()
	if err := os.WriteFile(k.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// config is the server's: exporters need certificates.
func (k *keys) config() tlsConfig {
	return tlsConfig{CertFile: k.path("cert.pem"), KeyFile: k.path("key.pem"), ClientCAFile: k.path("ca.pem"), ClientCertificates: certificateRequired}
}

// client is an exporter's; without a name it has no certificate.
func (k *keys) client(name string) *tls.Config {
	k.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	c.RootCAs.AddCert(k.ca)
	if name != "" {
		key, cert := k.sign(name, nil)
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
	}
	return c
}

// TestWhoMayUseTLS: a certificate that is required, of the right authority, with the
// right name. Who fails is counted, and sends nothing.
func TestWhoMayUseTLS(t *testing.T) {
	k, stranger := newKeys(t), newKeys(t)
	foreign := k.client("")
	foreign.Certificates = stranger.client("exporter.example").Certificates
	old := k.client("exporter.example")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, c := range []struct {
		name   string
		change func(*tlsConfig)
		client *tls.Config
		ok     bool
	}{
		{"a certificate", nil, k.client("exporter.example"), true},
		{"none", nil, k.client(""), false},
		{"none, optional", func(c *tlsConfig) { c.ClientCertificates = certificateOptional }, k.client(""), true},
		{"none asked for", func(c *tlsConfig) { c.ClientCAFile = "" }, k.client(""), true},
		{"of another authority", nil, foreign, false},
		{"of another authority, optional", func(c *tlsConfig) { c.ClientCertificates = certificateOptional }, foreign, false},
		{"the right name", func(c *tlsConfig) { c.ClientNames = []string{"a.example", "exporter.example"} }, k.client("exporter.example"), true},
		{"the right address", func(c *tlsConfig) { c.ClientNames = []string{"127.0.0.1"} }, k.client("exporter.example"), true},
		{"another name", func(c *tlsConfig) { c.ClientNames = []string{"a.example"} }, k.client("exporter.example"), false},
		{"an old version", nil, old, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServing(t, k, c.change)
			conn := tls.Client(dial(t, "127.0.0.1", s.listeners[0].Addr()), c.client)
			_, err := conn.Write(ipfix(0, templateSet)) // in TLS 1.3 the refusal may come later
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				await(t, "the message", func() bool { return testutil.ToFloat64(s.metrics.messages) == 1 })
				return
			}
			await(t, "the refusal", func() bool { return refusedOf(s.received, badHandshake, "127.0.0.1") == 1 })
			if testutil.ToFloat64(s.metrics.messages) != 0 {
				t.Error("a message came through")
			}
		})
	}
}

// TestCertificatesAreReadAgain: connections after a change meet the new certificate;
// one that cannot be used changes nothing and is counted.
func TestCertificatesAreReadAgain(t *testing.T) {
	k := newKeys(t)
	s := newServing(t, k, nil)
	meets := func() string {
		conn := tls.Client(dial(t, "127.0.0.1", s.listeners[0].Addr()), k.client("exporter.example"))
		defer conn.Close()
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := meets(); got != "ingest.example" {
		t.Fatalf("met %s", got)
	}
	change := func(at time.Duration, write func()) {
		write()
		for _, name := range []string{"cert.pem", "key.pem"} {
			then := time.Now().Add(at)
			if err := os.Chtimes(k.path(name), then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	change(time.Second, func() { k.serve("new.example") })
	if got := meets(); got != "new.example" {
		t.Errorf("met %s after the change", got)
	}
	change(2*time.Second, func() { k.write("key.pem", "PRIVATE KEY", []byte("broken")) })
	for range 3 {
		if got := meets(); got != "new.example" {
			t.Errorf("met %s while the key was broken", got)
		}
	}
	if n := testutil.ToFloat64(s.metrics.certificateErrors); n != 1 {
		t.Errorf("%v errors counted, want 1", n)
	}
	change(3*time.Second, func() { k.serve("third.example") })
	if got := meets(); got != "third.example" {
		t.Errorf("met %s at last", got)
	}
}

func TestBadCertificatesAreExplained(t *testing.T) {
	k := newKeys(t)
	if err := os.WriteFile(k.path("empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*tlsConfig){
		"cert_file and key_file":          func(c *tlsConfig) { c.CertFile = k.path("none.pem") },
		"client_ca_file":                  func(c *tlsConfig) { c.ClientCAFile = k.path("none.pem") },
		"holds no certificate: it must":   func(c *tlsConfig) { c.ClientCAFile = k.path("empty.pem") },
		"cannot use streams.tls.cert_fil": func(c *tlsConfig) { c.KeyFile = k.path("ca.pem") },
	} {
		cfg := k.config()
		change(&cfg)
		if _, err := newCertificates(cfg, quiet(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
}
