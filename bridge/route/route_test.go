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
	busy := map[string]string{"101": "do not disturb", "102": "on the phone"}
	r := &Router{Now: time.Now, Phones: func(_ context.Context, _, ext string) (bool, string) { return busy[ext] == "", busy[ext] }}
	for name, tc := range map[string]struct {
		local, remote []Source
		client        string
		want, why     string
	}{
		"responsible":       {local: []Source{source(nil, Candidate{Extension: "103", Why: "responsible"})}, client: "+79161234567", want: "103", why: "responsible"},
		"skips":             {local: []Source{source(nil, Candidate{Extension: "101", Why: "responsible"}, Candidate{Extension: "104", Why: "talked last"})}, client: "+79161234567", want: "104", why: "101 (responsible) is skipped: do not disturb"},
		"crm after index":   {local: []Source{source(nil)}, remote: []Source{source(nil, Candidate{Extension: "105", Why: "crm"})}, client: "+79161234567", want: "105", why: "crm"},
		"crm down":          {remote: []Source{source(errors.New("down"))}, client: "+79161234567", want: "", why: "default scenario"},
		"all busy":          {local: []Source{source(nil, Candidate{Extension: "102", Why: "x"})}, client: "+79161234567", want: "", why: "on the phone"},
		"withheld":          {local: []Source{source(nil, Candidate{Extension: "103"})}, want: "", why: "withheld"},
		"without extension": {local: []Source{source(nil, Candidate{Name: "Иван"})}, client: "+79161234567", want: "", why: "no extension"},
	} {
		t.Run(name, func(t *testing.T) {
			r.Local, r.Remote = tc.local, tc.remote
			a := r.Answer(t.Context(), Question{Client: bridge.Number(tc.client)})
			if a.Extension != tc.want || !strings.Contains(a.Why, tc.why) {
				t.Fatalf("got %+v, want %q because %q", a, tc.want, tc.why)
			}
		})
	}
}

func TestF13AnswerInTimeWithTheCRMHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ Question) ([]Candidate, error) {
			time.Sleep(time.Minute) // deaf to its context
			return nil, nil
		}
		r := &Router{Now: time.Now, Remote: []Source{hang}, Limit: time.Second,
			Phones: func(context.Context, string, string) (bool, string) { return true, "" }}
		a := r.Answer(t.Context(), Question{Client: "+79161234567"})
		if a.Extension != "" || a.Took > time.Second || !strings.Contains(a.Why, "1000 ms") {
			t.Fatalf("got %+v", a)
		}
		time.Sleep(time.Hour) // virtual: the deaf source comes to its end
	})
}
