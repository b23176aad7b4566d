package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// collector is an OTLP/HTTP receiver.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	about map[string]string // the resource
	heads []http.Header
	paths []string
	fail  []int // answers to the next requests
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{about: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.heads, c.paths = append(c.heads, r.Header.Clone()), append(c.paths, r.URL.Path)
		if len(c.fail) > 0 {
			w.WriteHeader(c.fail[0])
			c.fail = c.fail[1:]
			return
		}
		rd := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			rd = z
		}
		body, err := io.ReadAll(rd)
		var d otlp.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &d)
		}
		if err != nil {
			t.Error(err)
		}
		for _, rs := range d.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				c.about[a.Key] = a.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// TestOffUnlessACollectorIsNamed: a nil Tracer does nothing, and says so.
func TestOffUnlessACollectorIsNamed(t *testing.T) {
	for name, get := range map[string]func(string) string{
		"nothing said": nil,
		"disabled":     env("OTEL_SDK_DISABLED", "true", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
		"no exporter":  env("OTEL_TRACES_EXPORTER", "none", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
	} {
		tr, err := New(t.Context(), Options{Getenv: get})
		if tr != nil || !errors.Is(err, ErrOff) {
			t.Errorf("%s: %v, %v", name, tr, err)
		}
		ctx, span := tr.Start(tr.Call(t.Context(), "1"), "x", false)
		span.Say(Text("a", "b"))
		span.End("temporary")
		tr.Past(ctx, "y", time.Now(), time.Now())
		tr.Ended("1", time.Now(), time.Now())
		if sent, lost := tr.Counts(); sent+lost > 0 || ctx != t.Context() || tr.Stop(ctx) != nil {
			t.Errorf("%s: a nil Tracer does something", name)
		}
	}
	var off *Tracer
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := off.Start(off.Call(context.Background(), "1"), "x", false)
		span.End("")
		off.Past(ctx, "y", time.Time{}, time.Time{})
	}); n > 0 {
		t.Errorf("%v allocations where nobody follows", n)
	}
}

// TestSpansReachACollector sends a trace over OTLP/HTTP to a receiver that
// refuses at first, and compares what arrives.
func TestSpansReachACollector(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	c := newCollector(t)
	c.fail = []int{http.StatusServiceUnavailable}
	tr, err := New(t.Context(), Options{Version: "1.2.3", Getenv: env("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL+"/", "OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b, x-two=2", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"), Token: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Minute)
	ctx, span := tr.Start(tr.Call(t.Context(), "call-1"), "delivery task", false, Text("integration", "crm"), Number("attempt", 1), Flag("look", true))
	_, inner := tr.Start(ctx, "crm create task", true)
	inner.End("temporary")
	span.End("")
	tr.Ended("call-1", began, time.Now())
	if err := tr.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	byName := map[string]*otlp.Span{}
	for _, s := range c.spans {
		byName[s.Name] = s
	}
	root, d, r := byName["call"], byName["delivery task"], byName["crm create task"]
	if len(c.spans) != 3 || root == nil || d == nil || r == nil {
		t.Fatalf("spans %v", c.spans)
	}
	if !bytes.Equal(d.ParentSpanId, root.SpanId) || !bytes.Equal(r.ParentSpanId, d.SpanId) || len(root.ParentSpanId) > 0 {
		t.Error("the spans do not hang together")
	}
	for _, s := range c.spans {
		if !bytes.Equal(s.TraceId, root.TraceId) || len(s.SpanId) != 8 || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("span %v", s)
		}
	}
	if root.StartTimeUnixNano != uint64(began.UnixNano()) {
		t.Error("the root span does not begin with the call")
	}
	if r.Status.Code != otlp.Status_STATUS_CODE_ERROR || r.Status.Message != "temporary" || r.Kind != otlp.Span_SPAN_KIND_CLIENT || d.Status.Code == otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("states %v %v", r.Status, d.Status)
	}
	if a := d.Attributes; len(a) != 3 || a[0].Key != "callbridge.integration" || a[0].Value.GetStringValue() != "crm" || a[1].Value.GetIntValue() != 1 || !a[2].Value.GetBoolValue() {
		t.Errorf("attributes %v", a)
	}
	if c.about["service.name"] != "callbridge" || c.about["service.version"] != "1.2.3" || c.about["deployment.environment.name"] != "test" {
		t.Errorf("resource %v", c.about)
	}
	if h := c.heads[0]; h.Get("Authorization") != "Bearer s3cret" || h.Get("X-Tenant") != "a b" || h.Get("X-Two") != "2" || h.Get("Content-Type") != "application/x-protobuf" || c.paths[0] != "/v1/traces" {
		t.Errorf("request %s %v", c.paths[0], h)
	}
	if sent, lost := tr.Counts(); sent != 3 || lost != 0 {
		t.Errorf("%d sent, %d lost", sent, lost)
	}
}

// TestCollectorInTroubleIsToldOnce: nobody waits, spans are counted as lost,
// and the log holds one line and no secret.
func TestCollectorInTroubleIsToldOnce(t *testing.T) {
	c := newCollector(t)
	c.fail = []int{400, 400, 400}
	var log bytes.Buffer
	tr, err := New(t.Context(), Options{Endpoint: c.URL + "/v1/traces", Token: "s3cret", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // three batches are refused, the fourth is taken
		tr.Ended("1", time.Now(), time.Now())
		if err := tr.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent, lost := tr.Counts(); sent != 1 || lost != 3 {
		t.Errorf("%d sent, %d lost", sent, lost)
	}
	text := log.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, "cannot be sent") || !strings.Contains(text, "sent again") || strings.Contains(text, "s3cret") {
		t.Errorf("log:\n%s", text)
	}
}

// TestOneCallIsOneTrace: restart, other node, days later: the ids are the same.
func TestOneCallIsOneTrace(t *testing.T) {
	var ids []string
	for range 2 {
		e := tracetest.NewInMemoryExporter()
		tr, err := New(t.Context(), Options{Exporter: e})
		if err != nil {
			t.Fatal(err)
		}
		_, s := tr.Start(tr.Call(t.Context(), "call-1"), "x", false)
		s.End("")
		tr.Ended("call-1", time.Now(), time.Now())
		got := e.GetSpans()
		if len(got) != 2 || got[0].Parent.SpanID() != got[1].SpanContext.SpanID() {
			t.Fatalf("spans %v", got)
		}
		ids = append(ids, got[0].SpanContext.TraceID().String(), got[1].SpanContext.TraceID().String())
	}
	for _, id := range ids {
		if id != ID("call-1") || id == ID("call-2") {
			t.Errorf("ids %v, want %s", ids, ID("call-1"))
		}
	}
}

// TestShareOfCalls: a call is followed whole or not at all.
func TestShareOfCalls(t *testing.T) {
	share := 0.3
	for name, o := range map[string]Options{"by the file": {Share: &share}, "by the environment": {}} {
		if o.Share == nil {
			t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
		}
		e := tracetest.NewInMemoryExporter()
		o.Exporter = e
		tr, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			id := strings.Repeat("i", i+1)
			_, s := tr.Start(tr.Call(t.Context(), id), "x", false)
			s.End("")
			tr.Ended(id, time.Now(), time.Now())
		}
		n := map[string]int{}
		for _, s := range e.GetSpans() {
			n[s.SpanContext.TraceID().String()]++
		}
		for id, spans := range n {
			if spans != 2 {
				t.Errorf("%s: trace %s has %d spans, want 2", name, id, spans)
			}
		}
		if len(n) < 45 || len(n) > 150 { // the calls' names are fixed, and so is this
			t.Errorf("%s: %d of 300 calls are followed", name, len(n))
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, o := range map[string]Options{
		"OTEL_TRACES_EXPORTER":           {Getenv: env("OTEL_TRACES_EXPORTER", "jaeger")},
		"address of the collector":       {Endpoint: "localhost:4318"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":    {Endpoint: "http://a", Getenv: env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")},
		"OTEL_EXPORTER_OTLP_HEADERS":     {Endpoint: "http://a", Getenv: env("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")},
		"OTEL_EXPORTER_OTLP_TIMEOUT":     {Endpoint: "http://a", Getenv: env("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")},
		"OTEL_EXPORTER_OTLP_COMPRESSION": {Endpoint: "http://a", Getenv: env("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip")},
		"OTEL_EXPORTER_OTLP_CERTIFICATE": {Endpoint: "https://a", Getenv: env("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")},
	} {
		if tr, err := New(t.Context(), o); tr != nil || err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The address for traces alone goes before that for all, and is taken as it is.
	o := Options{Getenv: env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://a/otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", "https://b")}
	if url, err := o.collector(); url != "https://a/otlp" || err != nil {
		t.Errorf("%s, %v", url, err)
	}
}
