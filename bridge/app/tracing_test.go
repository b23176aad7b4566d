package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"callbridge/bridge/trace"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

// TestOneCallThroughAllStages follows a call of a client the CRM does not know,
// whose first request is refused for a moment: every stage is one span or more
// of one trace, under what caused it, and says nothing personal.
func TestOneCallThroughAllStages(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tr, err := trace.New(t.Context(), trace.Options{Exporter: spans})
	if err != nil {
		t.Fatal(err)
	}
	mega := megaplantest.New(megaplantest.Options{Seed: bureauSeed()})
	b := openBureauOptions(t, mega, Options{Transport: sandbox.Transport(mega), Trace: tr}, nil)
	mega.FailNext(1, "POST", sandbox.Fault{Status: 503})
	b.talk("79161234567", "101")
	b.settled(1)
	calls, err := b.allCalls()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(t.Context()); err != nil { // what is under way ends its spans
		t.Fatal(err)
	}

	id := trace.ID(calls[0].ID)
	byID, children := map[string]tracetest.SpanStub{}, map[string]int{}
	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID().String() != id {
			t.Errorf("%s is in another trace", s.Name)
		}
		byID[s.SpanContext.SpanID().String()] = s
	}
	var failed []string
	for _, s := range byID {
		parent := "-"
		if s.Parent.SpanID().IsValid() {
			p, ok := byID[s.Parent.SpanID().String()]
			if !ok {
				t.Errorf("%s is under a span that was not sent", s.Name)
			}
			parent = p.Name
		}
		children[parent+" > "+s.Name]++
		if s.Status.Code == codes.Error {
			failed = append(failed, s.Name+": "+s.Status.Description)
		}
		if s.Name != "call" && s.EndTime.Sub(s.StartTime) > 2*time.Minute || s.EndTime.Before(s.StartTime) {
			t.Errorf("%s took %v", s.Name, s.EndTime.Sub(s.StartTime))
		}
		said := s.Name + " " + s.Status.Description
		for _, a := range s.Attributes {
			said += fmt.Sprintf(" %s=%s", a.Key, a.Value.String())
		}
		for _, secret := range []string{"9161234567", "4951234567", "Иван", "Петров", "ivan", "bot@", "example", "=101"} {
			if strings.Contains(said, secret) {
				t.Errorf("%q stands in a span: %s", secret, said)
			}
		}
	}
	for _, want := range []string{"- > call", "call > event", "event > track", "event > cards", "event > rules", "event > store", "call > who is calling",
		"call > delivery contact", "call > delivery call", "call > delivery communication", "delivery contact > crm create client", "delivery call > crm write call"} {
		if children[want] == 0 {
			t.Errorf("there is no %q", want)
		}
	}
	if children["- > call"] != 1 {
		t.Errorf("%d root spans", children["- > call"])
	}
	if len(failed) == 0 {
		t.Error("the refused request shows in no span")
	}
}
