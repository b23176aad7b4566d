package trace

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Options say where traces go. What they leave out the standard variables of
// OpenTelemetry say (OTEL_EXPORTER_OTLP_ENDPOINT and the others).
type Options struct {
	// Endpoint is the collector's address, such as http://127.0.0.1:4318.
	Endpoint string
	// Token is shown to it as a bearer token, if there is one.
	Token string
	// Share of the calls that is followed, 0 to 1; nil: all.
	Share   *float64
	Version string
	Log     *slog.Logger
	// Getenv reads a variable; nil: none is read by us.
	Getenv func(string) string
	// Exporter takes the spans instead of a collector, in tests.
	Exporter sdk.SpanExporter
}

// ErrOff is why New made no Tracer.
var ErrOff = errors.New("traces are off")

// New makes the Tracer. Where nobody named a collector, or the environment
// says no (OTEL_SDK_DISABLED=true, OTEL_TRACES_EXPORTER=none), the error is
// ErrOff and the Tracer is nil, which may be used all the same.
func New(ctx context.Context, o Options) (*Tracer, error) {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if strings.EqualFold(o.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, ErrOff
	}
	var more []sdk.TracerProviderOption
	if o.Share != nil {
		more = append(more, sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(*o.Share))))
	}
	if o.Exporter != nil {
		return newTracer(ctx, o.Version, append(more, sdk.WithSyncer(o.Exporter))...)
	}
	e, err := o.exporter()
	if err != nil {
		return nil, err
	}
	t, err := newTracer(ctx, o.Version, append(more, sdk.WithBatcher(e))...)
	if err != nil {
		return nil, err
	}
	t.counts = &e.counts
	return t, nil
}

// exporter makes the way to the collector.
func (o *Options) exporter() (*exporter, error) {
	env := func(name string) string { // what is for traces alone goes before what is for all
		if v := o.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
			return v
		}
		return o.Getenv("OTEL_EXPORTER_OTLP_" + name)
	}
	target, err := o.collector()
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the address of the collector must be like http://127.0.0.1:4318")
	}
	if p := env("PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is not spoken here; http/protobuf is (port 4318 of a collector)", p)
	}
	x := &exporter{url: target, header: http.Header{}, timeout: 10 * time.Second, log: o.Log}
	if err := x.headers(env("HEADERS")); err != nil {
		return nil, err
	}
	if o.Token != "" {
		x.header.Set("Authorization", "Bearer "+o.Token)
	}
	if v := env("TIMEOUT"); v != "" {
		ms, err := strconv.Atoi(v)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT: %q is no number of milliseconds", v)
		}
		x.timeout = time.Duration(ms) * time.Millisecond
	}
	switch v := env("COMPRESSION"); v {
	case "", "none":
	case "gzip":
		x.gzip = true
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_COMPRESSION: %q is not known; gzip or none", v)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if err := secure(transport, env); err != nil {
		return nil, err
	}
	x.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return x, nil
}

// collector is the address spans go to.
func (o *Options) collector() (string, error) {
	base := o.Endpoint
	if base == "" {
		switch e := o.Getenv("OTEL_TRACES_EXPORTER"); e {
		case "", "otlp":
		case "none":
			return "", ErrOff
		default:
			return "", fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not known; otlp or none", e)
		}
		if v := o.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); v != "" {
			return v, nil // the only one that is taken as it is
		}
		base = o.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	if base == "" {
		return "", ErrOff
	}
	return strings.TrimSuffix(strings.TrimRight(base, "/"), "/v1/traces") + "/v1/traces", nil
}

// headers reads "name=value,name=value", values with percent signs.
func (x *exporter) headers(list string) error {
	for _, pair := range strings.Split(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, "=")
		v, err := url.PathUnescape(strings.TrimSpace(v))
		if !ok || err != nil || strings.TrimSpace(k) == "" {
			return errors.New("OTEL_EXPORTER_OTLP_HEADERS must be name=value, several with commas between them") // the value is a secret
		}
		x.header.Set(strings.TrimSpace(k), v)
	}
	return nil
}

// secure takes over the certificates the variables name.
func secure(t *http.Transport, env func(string) string) error {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := env("CERTIFICATE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %s holds no certificate", file)
		}
	}
	if cert, key := env("CLIENT_CERTIFICATE"), env("CLIENT_KEY"); cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	t.TLSClientConfig = conf
	return nil
}
