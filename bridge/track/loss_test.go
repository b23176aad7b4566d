package track_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// watched adds what the daemon does about a call that is silent for long: it
// asks the PBX what there is, which is nothing.
func watched(all []bridge.Event) []bridge.Event {
	var last bridge.Time
	for _, e := range all {
		if e.At.After(last.Time) {
			last = e.At
		}
	}
	at := bridge.At(last.Add(time.Minute))
	return append(slices.Clone(all), bridge.Event{ID: "watch", PBX: "office", Kind: bridge.LinkUp, At: at,
		Snapshot: &bridge.Snapshot{StartedAt: bridge.AtMilli(1795300000000)}})
}

// TestLossOfAnySingleEvent takes every single event out of every stream, as a
// prepared PBX tells it, with its variables filtered out, and as one that
// nobody prepared. The call must come out the same, or its record must name
// what the lost event alone had told. The direction never flips (D-21, D-22).
func TestLossOfAnySingleEvent(t *testing.T) {
	total := 0
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			recorded := events(t, name, true)
			for turn, what := range []string{"as it is", "without variables", "unprepared"} {
				all := [][]bridge.Event{recorded, noVariables(recorded), unprepared(recorded)}[turn]
				want := track.Calls(watched(all), opts)
				for i, lost := range all {
					if lost.Kind == bridge.LinkLost || lost.Kind == bridge.LinkUp {
						continue // our own notes of the connection: no PBX sends them
					}
					if slow && turn > 0 && i%2 == turn-1 {
						continue
					}
					total++
					got := track.Calls(watched(slices.Delete(slices.Clone(all), i, i+1)), opts)
					if problem := differ(got, want, lost.Kind); problem != "" {
						t.Errorf("%s, without event %d (%s): %s", what, i, lost.Kind, problem)
					}
				}
			}
		})
	}
	t.Logf("%d events lost one by one", total)
}

// differ says what is wrong with calls of which an event is missing.
func differ(got, want []bridge.Call, lost bridge.EventKind) string {
	if len(got) > len(want) { // only that event told that the two belong together
		for i := range got {
			if len(got[i].Unknown) == 0 || got[i].Direction != want[0].Direction {
				return fmt.Sprintf("%d calls, want %d, and one does not say what is unknown: %+v", len(got), len(want), got[i])
			}
		}
		return ""
	}
	if len(got) < len(want) {
		return fmt.Sprintf("%d calls, want %d", len(got), len(want))
	}
	for i := range got {
		if problem := different(&got[i], &want[i], lost); problem != "" {
			return problem
		}
	}
	return ""
}

// soon compares times: what stands for a lost one was a few ms beside it.
var soon = cmp.Comparer(func(a, b bridge.Time) bool {
	d := a.Time.Sub(b.Time)
	return d < 60*time.Millisecond && d > -60*time.Millisecond
})

// follow are members that are computed of another one.
var follow = map[string]string{"client_raw": "client", "client_name": "client", "wait_ms": "answered_at", "reason": "outcome", "first_talked": "answered_by", "last_talked": "answered_by",
	"longest_talked": "answered_by"}

func different(got, want *bridge.Call, lost bridge.EventKind) string {
	if got.Direction != want.Direction {
		return fmt.Sprintf("direction %s, want %s", got.Direction, want.Direction)
	}
	if !got.Ended() {
		return "the call is still open"
	}
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		f := g.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "id", name == "gaps", name == "unknown", name == "pbx_call_id": // an id may be made of what is known
			continue
		case slices.Contains(got.Unknown, name), slices.Contains(got.Unknown, follow[name]):
			continue
		case slices.Contains(want.Unknown, name):
			continue
		case len(got.Gaps) > len(want.Gaps) && (name == "ended_at" || name == "talk_ms" || name == "cause" || name == "legs"):
			continue // the gap says from when to when nobody knows
		}
		a, b := g.Field(i).Interface(), w.Field(i).Interface()
		switch v := b.(type) {
		case *int64:
			x := a.(*int64)
			if (x == nil) != (v == nil) || x != nil && (*x-*v > 60 || *v-*x > 60) {
				return fmt.Sprintf("%s: %s, want %s", name, text(x), text(v))
			}
			continue
		case []bridge.Leg:
			a, b = plainLegs(got.Legs, lost), plainLegs(v, lost)
		case []string:
			if name == "rang" { // those that began at the same moment in any order
				a, b = slices.Sorted(slices.Values(got.Rang)), slices.Sorted(slices.Values(v))
			}
		}
		if diff := cmp.Diff(a, b, soon, cmpopts.EquateEmpty()); diff != "" {
			return fmt.Sprintf("%s (- got, + want; unknown %v, gaps %v):\n%s", name, got.Unknown, got.Gaps, diff)
		}
	}
	return ""
}

// plainLegs drops what may be a little off; how often a phone held the other
// side is counted from what was seen.
func plainLegs(legs []bridge.Leg, lost bridge.EventKind) []bridge.Leg {
	legs = slices.Clone(legs)
	for i := range legs {
		if legs[i].TalkMS != nil {
			ms := (*legs[i].TalkMS + 150) / 300
			legs[i].TalkMS = &ms
		}
		if lost == bridge.HoldBegan || lost == bridge.HoldEnded {
			legs[i].Holds = 0
		}
	}
	slices.SortStableFunc(legs, func(a, b bridge.Leg) int { return strings.Compare(a.Extension, b.Extension) })
	return legs
}
