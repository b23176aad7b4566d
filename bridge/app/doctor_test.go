package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"callbridge/bridge/config"
)

func TestF12Disk(t *testing.T) {
	for name, tt := range map[string]struct {
		database, want string
		free           uint64
		err            error
	}{
		"room":       {"sqlite:/var/lib/callbridge/callbridge.db", FindingOK, 5 << 30, nil},
		"little":     {"sqlite:/var/lib/callbridge/callbridge.db", FindingWarning, 500 << 20, nil},
		"none":       {"sqlite:/var/lib/callbridge/callbridge.db", FindingFailed, 1 << 20, nil},
		"no folder":  {"sqlite:/nowhere/callbridge.db", FindingFailed, 0, errors.New("no such folder")},
		"PostgreSQL": {"postgres://u@h/db", "", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Database = config.Secret(tt.database)
			d := &doctor{cfg: cfg, free: func(string) (uint64, error) { return tt.free, tt.err }}
			d.disk()
			got := ""
			if len(d.found) > 0 {
				got = d.found[0].State
			}
			if got != tt.want || len(d.found) > 1 {
				t.Errorf("%+v, want %s", d.found, tt.want)
			}
		})
	}
}

func TestF12Certificate(t *testing.T) {
	for _, tt := range []struct {
		left time.Duration
		want string
	}{{60 * 24 * time.Hour, FindingOK}, {5 * 24 * time.Hour, FindingWarning}} {
		d := &doctor{}
		d.certificate("x", &http.Response{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{NotAfter: time.Now().Add(tt.left)}}}})
		if len(d.found) != 1 || d.found[0].State != tt.want {
			t.Errorf("%v left: %+v", tt.left, d.found)
		}
	}
}
