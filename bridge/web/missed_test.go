package web

import (
	"context"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/missed"
)

// waiting are clients who wait to be called back.
type waiting []bridge.MissedEntry

func (w waiting) Open(_ context.Context, extension string) ([]bridge.MissedEntry, error) {
	var out []bridge.MissedEntry
	for _, e := range w {
		if extension == "" || missed.MayCall(&e, extension) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (waiting) Closed(context.Context, time.Time) ([]bridge.MissedEntry, error) { return nil, nil }

func (w waiting) Close(_ context.Context, id, extension, _ string) (bridge.MissedEntry, error) {
	for _, e := range w {
		if e.ID == id && (extension == "" || missed.MayCall(&e, extension)) {
			return e, nil
		}
	}
	return bridge.MissedEntry{}, ErrNotFound
}

// TestF06AgentsMissedList: an agent sees, and may close, those whom his phone
// is to call, and those whose call reached nobody; an admin all. What is past
// its deadline says so (D-26).
func TestF06AgentsMissedList(t *testing.T) {
	w := newWorld(t)
	w.start(t, func(d *Deps) {
		d.Returns = waiting{
			{ID: "his", Client: "+79160000001", Count: 2, Rang: []string{"101"}, DueAt: bridge.At(time.Now().Add(-time.Hour))},
			{ID: "hers", Client: "+79160000002", Count: 1, Rang: []string{"102"}, DueAt: bridge.At(time.Now().Add(time.Hour))},
			{ID: "nobody's", Client: "+79160000003", Count: 1},
		}
	})
	type list struct{ Missed []missedView }
	ivan, admin := w.signIn(t, "ivan"), w.signIn(t, "admin")
	got := decode[list](t, ivan.get("/api/v1/missed"), 200).Missed
	if len(got) != 2 || got[0].ID != "his" || !got[0].Overdue || got[0].Count != 2 || got[1].ID != "nobody's" || got[1].Overdue {
		t.Errorf("ivan sees %+v", got)
	}
	if all := decode[list](t, admin.get("/api/v1/missed"), 200).Missed; len(all) != 3 {
		t.Errorf("the admin sees %+v", all)
	}
}
