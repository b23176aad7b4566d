package route

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
)

func source(err error, people ...Candidate) Source {
	return func(context.Context, Question) ([]Candidate, error) { return people, err }
}

func TestM46ManagerIsChosenAndTheBusyAreSkippedWithTheReason(t *testing.T) {
	busy := map[string]string{"101": "do not disturb", "102": "on the phone", "106": "the phone is not registered"}
	r := &Router{Now: time.Now, Phones: func(_ context.Context, _, ext string) (bool, string) { return busy[ext] == "", busy[ext] }}
	for name, tc := range map[string]struct {
		sources   []Source
		prepare   error
		client    string
		want, why string
		steps     int
	}{
		"responsible": {sources: []Source{source(nil, Candidate{Extension: "103", Why: "responsible"})}, client: "+79161234567", want: "103", why: "103: responsible", steps: 1},
		"rank": {sources: []Source{source(nil, Candidate{Extension: "103", Why: "open process"}), source(nil, Candidate{Extension: "104", Why: "responsible"})},
			client: "+79161234567", want: "103", why: "open process", steps: 1},
		"do not disturb": {sources: []Source{source(nil, Candidate{Extension: "101", Why: "responsible"}, Candidate{Extension: "104", Why: "talked last"})},
			client: "+79161234567", want: "104", why: "101 (responsible) is skipped: do not disturb", steps: 2},
		"busy":           {sources: []Source{source(nil, Candidate{Extension: "102", Why: "x"})}, client: "+79161234567", why: "on the phone", steps: 1},
		"not registered": {sources: []Source{source(nil, Candidate{Extension: "106", Why: "x"})}, client: "+79161234567", why: "not registered", steps: 1},
		"dismissed": {sources: []Source{source(nil, Candidate{Extension: "107", Name: "Пётр", Why: "responsible", Off: "dismissed in Megaplan"}), source(nil, Candidate{Extension: "105", Why: "talked last"})},
			client: "+79161234567", want: "105", why: "107 (responsible) is skipped: dismissed", steps: 2},
		"without extension": {sources: []Source{source(nil, Candidate{Name: "Иван"})}, client: "+79161234567", why: "no extension", steps: 1},
		"twice the same": {sources: []Source{source(nil, Candidate{Extension: "101", Why: "a"}), source(nil, Candidate{Extension: "101", Why: "b"})},
			client: "+79161234567", why: "(a) is skipped", steps: 1},
		"CRM down, who talked last is still known": {sources: []Source{source(nil), source(nil, Candidate{Extension: "105", Why: "talked last"})}, prepare: errors.New("down"),
			client: "+79161234567", want: "105", why: "no answer from a CRM in time", steps: 2},
		"store down": {sources: []Source{source(errors.New("locked"))}, client: "+79161234567", why: "default scenario", steps: 1},
		"withheld":   {sources: []Source{source(nil, Candidate{Extension: "103"})}, why: "withheld"},
	} {
		t.Run(name, func(t *testing.T) {
			r.Sources, r.Prepare = tc.sources, func(context.Context, Question) error { return tc.prepare }
			a := r.Answer(t.Context(), Question{Client: bridge.Number(tc.client)})
			if a.Extension != tc.want || !strings.Contains(a.Why, tc.why) || len(a.Steps) != tc.steps {
				t.Fatalf("got %+v, want %q because %q in %d steps", a, tc.want, tc.why, tc.steps)
			}
		})
	}
}

// F-13: a CRM that hangs, deaf to its deadline, costs 0.7 s; the last known
// employee is still found. A store that hangs, too, costs the whole second.
func TestF13AnswerInTimeWithTheCRMHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := func(context.Context, Question) error { time.Sleep(time.Minute); return nil }
		free := func(context.Context, string, string) (bool, string) { return true, "" }
		r := &Router{Now: time.Now, Prepare: deaf, Limit: time.Second, Phones: free, Sources: []Source{source(nil, Candidate{Extension: "105", Why: "talked last"})}}
		if a := r.Answer(t.Context(), Question{Client: "+79161234567"}); a.Extension != "105" || a.Took != 700*time.Millisecond || !strings.Contains(a.Why, "within 700 ms") {
			t.Errorf("got %+v", a)
		}
		r.Sources = []Source{func(context.Context, Question) ([]Candidate, error) { time.Sleep(time.Minute); return nil, nil }}
		if a := r.Answer(t.Context(), Question{Client: "+79161234567"}); a.Extension != "" || a.Took != time.Second || !strings.Contains(a.Why, "1000 ms") {
			t.Errorf("got %+v", a)
		}
		time.Sleep(time.Hour) // virtual: the deaf come to their end
	})
}
