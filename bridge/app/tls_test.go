package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"callbridge/bridge/config"
)

// issue writes a self-signed certificate with a serial number.
func issue(t *testing.T, f config.TLS, serial int64, changed time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{f.Cert: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: kder}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	f := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	c := &certificates{files: func() config.TLS { return f }, log: slog.New(slog.DiscardHandler)}
	if _, err := c.get(nil); err == nil {
		t.Fatal("a certificate that is not there was taken")
	}
	serial := func() int64 {
		t.Helper()
		cert, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.Int64()
	}
	at := time.Now().Add(-time.Hour)
	issue(t, f, 1, at)
	if n := serial(); n != 1 {
		t.Errorf("serial number %d, want 1", n)
	}
	issue(t, f, 2, at.Add(time.Minute))
	if n := serial(); n != 2 {
		t.Errorf("after the renewal: serial number %d, want 2", n)
	}
	if err := os.WriteFile(f.Cert, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 2 {
		t.Errorf("with a broken file: serial number %d, want the old 2", n)
	}
	issue(t, f, 3, at.Add(2*time.Minute))
	if n := serial(); n != 3 {
		t.Errorf("after it was mended: serial number %d, want 3", n)
	}
}

func TestVisitorIsBelievedFromTrustedProxiesOnly(t *testing.T) {
	trusted := []string{"127.0.0.1", "10.0.0.0/8", "::1"}
	for name, tt := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"by the proxy":                {"127.0.0.1:5", []string{"203.0.113.7"}, "203.0.113.7"},
		"by two proxies":              {"127.0.0.1:5", []string{"203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		"invented before the proxy":   {"127.0.0.1:5", []string{"1.1.1.1, 203.0.113.7"}, "203.0.113.7"},
		"two headers":                 {"[::1]:5", []string{"1.1.1.1", "203.0.113.7"}, "203.0.113.7"},
		"IPv6":                        {"[::1]:5", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv4 written as IPv6":        {"[::ffff:10.0.0.1]:5", []string{"203.0.113.7"}, "203.0.113.7"},
		"no proxy of ours":            {"203.0.113.9:5", []string{"10.1.2.3"}, ""},
		"nothing forwarded":           {"127.0.0.1:5", nil, ""},
		"nonsense":                    {"127.0.0.1:5", []string{"203.0.113.7, unknown"}, ""},
		"a colleague behind a router": {"127.0.0.1:5", []string{"10.9.9.9"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := visitor(tt.peer, tt.forwarded, trusted)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
