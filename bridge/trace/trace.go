// Package trace follows one call through all stages as an OpenTelemetry trace:
// events of the PBX, tracker, cards, rules, store, deliveries, requests to the
// CRM. It is off unless a collector is named; then New returns nil, and a nil
// *Tracer does nothing: that is all tracing costs where nobody wants it.
//
// The ids of a call's trace and of its root span are made from the call's id.
// So everything that is done for a call stands in one trace, also days later,
// after a restart or by another node, and who knows a call's id knows where to
// look (ID). Spans say what was done, how long it took and what became of it,
// never for whom: no numbers, names, addresses or texts.
package trace

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Attr is one thing a span says. Its value is never personal.
type Attr = attribute.KeyValue

// Text, Number and Flag make attributes; our names begin with "callbridge.".
func Text(key, value string) Attr { return attribute.String("callbridge."+key, value) }

// Number makes an attribute.
func Number(key string, n int) Attr { return attribute.Int("callbridge."+key, n) }

// Flag makes an attribute.
func Flag(key string, on bool) Attr { return attribute.Bool("callbridge."+key, on) }

// Tracer follows calls. nil follows none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	counts   *counts // nil: nobody counts
}

// Span is something that is being done. nil is nothing.
type Span struct{ span trace.Span }

// Mark is a span others can be put under. The zero Mark is none.
type Mark struct{ sc trace.SpanContext }

func newTracer(ctx context.Context, version string, how ...sdk.TracerProviderOption) (*Tracer, error) {
	// What the environment says of us (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) comes last and wins.
	res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "callbridge"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdk.NewTracerProvider(append(how, sdk.WithResource(res), sdk.WithIDGenerator(ids{}))...)
	return &Tracer{provider: p, tracer: p.Tracer("callbridge")}, nil
}

// Stop sends what is finished and ends the Tracer.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Counts is how many spans the collector has taken, and how many it has not.
func (t *Tracer) Counts() (sent, lost uint64) {
	if t == nil || t.counts == nil {
		return 0, 0
	}
	return t.counts.sent.Load(), t.counts.lost.Load()
}

// Call puts what is done under ctx into the trace of a call.
func (t *Tracer) Call(ctx context.Context, id string) context.Context {
	if t == nil || id == "" {
		return ctx
	}
	// A root span that is never ended only tells what the sampler decides: the
	// same for every span of the call, because it goes by the trace's id.
	_, root := t.root(ctx, id)
	return trace.ContextWithRemoteSpanContext(ctx, root.SpanContext().WithRemote(true))
}

func (t *Tracer) root(ctx context.Context, id string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.tracer.Start(context.WithValue(ctx, rootKey{}, rootOf(id)), "call", append(o, trace.WithNewRoot())...)
}

// Ended sends the root span of a call that is over.
func (t *Tracer) Ended(id string, from, to time.Time, a ...Attr) {
	if t == nil {
		return
	}
	_, s := t.root(context.Background(), id, trace.WithTimestamp(from), trace.WithAttributes(append(a, Text("call", id))...))
	s.End(trace.WithTimestamp(to))
}

// Start begins a span under that of ctx; crm says that it is a request to a CRM.
func (t *Tracer) Start(ctx context.Context, name string, crm bool, a ...Attr) (context.Context, *Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil // belongs to no call
	}
	kind := trace.SpanKindInternal
	if crm {
		kind = trace.SpanKindClient
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(a...))
	return ctx, &Span{s}
}

// Past adds a span for something that was done already, and returns the place
// for what belongs under it.
func (t *Tracer) Past(ctx context.Context, name string, from, to time.Time, a ...Attr) context.Context {
	if t == nil {
		return ctx
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithTimestamp(from), trace.WithAttributes(a...))
	s.End(trace.WithTimestamp(to))
	return ctx
}

// MarkOf returns the span of ctx; At returns a context under a Mark.
func MarkOf(ctx context.Context) Mark { return Mark{trace.SpanContextFromContext(ctx)} }

// At puts what is done under ctx under m.
func At(ctx context.Context, m Mark) context.Context {
	return trace.ContextWithSpanContext(ctx, m.sc)
}

// Say adds attributes.
func (s *Span) Say(a ...Attr) {
	if s != nil {
		s.span.SetAttributes(a...)
	}
}

// End ends a span. failed is why it failed, a word from a closed list; empty
// means that it did not.
func (s *Span) End(failed string) {
	if s == nil {
		return
	}
	if failed != "" {
		s.span.SetStatus(codes.Error, failed)
	}
	s.span.End()
}

// ID is the id of a call's trace, as trace viewers want it.
func ID(call string) string { return rootOf(call).trace.String() }

type rootKey struct{}

type rootIDs struct {
	trace trace.TraceID
	span  trace.SpanID
}

func rootOf(call string) rootIDs {
	sum := sha256.Sum256([]byte("callbridge call " + call))
	var r rootIDs
	copy(r.trace[:], sum[:])
	copy(r.span[:], sum[16:])
	return r
}

// ids takes the ids of a root span from its call; the others are random.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if r, ok := ctx.Value(rootKey{}).(rootIDs); ok {
		return r.trace, r.span
	}
	r := rootOf(fmt.Sprint(rand.Uint64(), rand.Uint64()))
	return r.trace, r.span
}

func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var s trace.SpanID
	for i, n := 0, rand.Uint64()|1; i < len(s); i++ { // |1: all zero is no id
		s[i] = byte(n >> (8 * i))
	}
	return s
}
