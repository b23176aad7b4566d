package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	res "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// exporter sends spans by OTLP over HTTP. The library's own exporter does the
// same and draws gRPC in after it: 7.5 MB of our 30, for one POST.
type exporter struct {
	url     string
	header  http.Header
	timeout time.Duration
	gzip    bool
	client  *http.Client
	log     *slog.Logger
	counts  counts
	failing atomic.Bool
}

// counts is what became of spans.
type counts struct{ sent, lost atomic.Uint64 }

// ExportSpans sends a batch. What cannot be sent within the time is dropped and
// counted; nobody waits for it but the goroutine of the library. The error is
// told here, once for each spell of trouble.
func (x *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	body, err := proto.Marshal(data(spans))
	if err == nil {
		err = x.deliver(ctx, body)
	}
	if n := uint64(len(spans)); err == nil {
		x.counts.sent.Add(n)
	} else {
		x.counts.lost.Add(n)
	}
	switch was := x.failing.Swap(err != nil); {
	case err != nil && !was:
		x.log.Warn("traces cannot be sent; they are dropped until it works again", "url", x.url, "err", err)
	case err == nil && was:
		x.log.Info("traces are sent again", "url", x.url)
	}
	return nil
}

// Shutdown makes x an sdk.SpanExporter; nothing is kept open.
func (x *exporter) Shutdown(context.Context) error {
	x.client.CloseIdleConnections()
	return nil
}

// deliver repeats what the protocol says may be repeated.
func (x *exporter) deliver(ctx context.Context, body []byte) error {
	wait := 500 * time.Millisecond
	for {
		after, again, err := x.post(ctx, body)
		if err == nil || !again {
			return err
		}
		pause := max(after, wait/2+time.Duration(rand.Int64N(int64(wait))))
		if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		wait *= 2
	}
}

func (x *exporter) post(ctx context.Context, body []byte) (after time.Duration, again bool, err error) {
	rd := io.Reader(bytes.NewReader(body))
	if x.gzip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(body); err != nil {
			return 0, false, err
		}
		if err := z.Close(); err != nil {
			return 0, false, err
		}
		rd = &b
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url, rd)
	if err != nil {
		return 0, false, err
	}
	req.Header = x.header.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "Callbridge")
	if x.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	ans, err := x.client.Do(req)
	if err != nil {
		return 0, true, err
	}
	defer ans.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(ans.Body, 64<<10)) // so that the connection is used again
	if ans.StatusCode >= 200 && ans.StatusCode < 300 {
		return 0, false, nil
	}
	switch ans.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
		if s, err := strconv.Atoi(ans.Header.Get("Retry-After")); err == nil && s > 0 {
			after = time.Duration(s) * time.Second
		}
	}
	return after, again, fmt.Errorf("the collector answers %d", ans.StatusCode)
}

// data writes spans as OTLP. A collector wants ExportTraceServiceRequest, which
// is the same on the wire: one field, number 1, of the same type.
func data(spans []sdk.ReadOnlySpan) *otlp.TracesData {
	if len(spans) == 0 {
		return &otlp.TracesData{}
	}
	// One provider and one tracer made them all.
	first := spans[0]
	scope := &otlp.ScopeSpans{Scope: &common.InstrumentationScope{Name: first.InstrumentationScope().Name}}
	for _, s := range spans {
		scope.Spans = append(scope.Spans, span(s))
	}
	return &otlp.TracesData{ResourceSpans: []*otlp.ResourceSpans{{
		Resource: &res.Resource{Attributes: values(first.Resource().Attributes())}, ScopeSpans: []*otlp.ScopeSpans{scope}}}}
}

func span(s sdk.ReadOnlySpan) *otlp.Span {
	sc, parent := s.SpanContext(), s.Parent()
	t, id := sc.TraceID(), sc.SpanID()
	out := &otlp.Span{TraceId: t[:], SpanId: id[:], Name: s.Name(), Flags: uint32(sc.TraceFlags()),
		Kind:              otlp.Span_SpanKind(s.SpanKind()), // the numbers are the same
		StartTimeUnixNano: nano(s.StartTime()), EndTimeUnixNano: nano(s.EndTime()), Attributes: values(s.Attributes()),
		Status: &otlp.Status{}}
	if parent.SpanID().IsValid() {
		p := parent.SpanID()
		out.ParentSpanId = p[:]
	}
	if st := s.Status(); st.Code == codes.Error {
		out.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR, Message: st.Description}
	}
	return out
}

func nano(t time.Time) uint64 { return uint64(max(t.UnixNano(), 0)) }

func values(list []attribute.KeyValue) []*common.KeyValue {
	out := make([]*common.KeyValue, 0, len(list))
	for _, a := range list {
		v := &common.AnyValue{}
		switch a.Value.Type() {
		case attribute.INT64:
			v.Value = &common.AnyValue_IntValue{IntValue: a.Value.AsInt64()}
		case attribute.BOOL:
			v.Value = &common.AnyValue_BoolValue{BoolValue: a.Value.AsBool()}
		default:
			v.Value = &common.AnyValue_StringValue{StringValue: a.Value.String()}
		}
		out = append(out, &common.KeyValue{Key: string(a.Key), Value: v})
	}
	return out
}
