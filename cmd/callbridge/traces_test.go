package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge/config"
)

// TestTracesAreConfigured: by callbridge.yaml, by the standard variables, and
// not at all by default.
func TestTracesAreConfigured(t *testing.T) {
	var got []string
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body))
	}))
	defer collector.Close()
	begin := func(file string, vars map[string]string) (bool, error) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "callbridge.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &cli{getenv: func(k string) string { return vars[k] }}
		cfg, err := config.Load(path, c.getenv)
		if err != nil {
			return false, err
		}
		var out bytes.Buffer
		log, _ := logger(cfg, &out)
		tr, err := c.tracer(t.Context(), cfg, log)
		if err != nil || tr == nil {
			return false, err
		}
		tr.Ended("call-1", time.Now(), time.Now())
		return true, tr.Stop(t.Context())
	}
	if on, err := begin("", nil); on || err != nil {
		t.Errorf("by default: %v, %v", on, err)
	}
	if on, err := begin("traces: {endpoint: "+collector.URL+", token: s3cret}", nil); !on || err != nil {
		t.Errorf("by the file: %v, %v", on, err)
	}
	if on, err := begin("", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20eA"}); !on || err != nil {
		t.Errorf("by the environment: %v, %v", on, err)
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "/v1/traces Bearer s3cret ") || !strings.HasPrefix(got[1], "/v1/traces Basic eA ") || !strings.Contains(got[0], "callbridge.call") {
		t.Errorf("the collector got %q", got)
	}
	if _, err := begin("traces: {endpoint: localhost, percent: 101}", nil); err == nil || !strings.Contains(err.Error(), "traces.endpoint") || !strings.Contains(err.Error(), "traces.percent") {
		t.Errorf("wrong values: %v", err)
	}
	if _, err := begin("", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}); !isUsage(err) {
		t.Errorf("a wrong variable: %v", err)
	}
}
