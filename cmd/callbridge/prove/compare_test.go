package prove

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/aristream"
	"callbridge/store"
)

// tally is what a comparison was about.
type tally struct {
	calls, exact, gaps, differ, deliveries, objects, faults int
}

func (a *tally) add(b tally) {
	a.calls += b.calls
	a.exact += b.exact
	a.gaps += b.gaps
	a.differ += b.differ
	a.deliveries += b.deliveries
	a.objects += b.objects
	a.faults += b.faults
}

func (a tally) String() string {
	return fmt.Sprintf("%d calls (%d seen whole, %d with a gap, %d of these with another outcome), %d deliveries, %d objects, %d wrong answers",
		a.calls, a.exact, a.gaps, a.differ, a.deliveries, a.objects, a.faults)
}

// settled repairs and says whether nothing is left to do.
func (w *world) settled() bool {
	w.t.Helper()
	w.repair()
	open := 0
	w.store(func(db *store.DB) error {
		calls, _, err := db.Calls(w.t.Context(), store.CallFilter{Open: true, Limit: 1})
		if err != nil {
			return err
		}
		counts, err := db.DeliveryCounts(w.t.Context())
		if err != nil {
			return err
		}
		open = len(calls)
		for _, c := range counts {
			if c.State != bridge.Done && c.State != bridge.Skipped {
				open += int(c.Count)
			}
		}
		return nil
	})
	return open == 0
}

// compare holds the PBX's calls against the store, and the store against both CRMs.
func (w *world) compare() tally {
	w.t.Helper()
	var all []bridge.Call
	made := map[string][]bridge.Delivery{}
	w.store(func(db *store.DB) error {
		f := store.CallFilter{Limit: 1000}
		for {
			page, next, err := db.Calls(w.t.Context(), f)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if f.Before = next; next == "" {
				break
			}
		}
		for _, id := range []string{megaplanID, retailID} {
			for after := int64(0); ; {
				ds, err := db.Deliveries(w.t.Context(), store.DeliveryFilter{Integration: id, After: after, Limit: 10000})
				if err != nil {
					return err
				}
				if len(ds) == 0 {
					break
				}
				made[id] = append(made[id], ds...)
				after = ds[len(ds)-1].ID
			}
		}
		return nil
	})
	sum := w.company(all)
	byID := map[string]*bridge.Call{}
	for i := range all {
		byID[all[i].ID] = &all[i]
	}
	for id, s := range map[string]sandbox.Sandbox{megaplanID: w.megaplan, retailID: w.retail} {
		sum.deliveries += len(made[id])
		sum.objects += w.objects(id, s, made[id], byID)
		for _, n := range w.fronts[id].count {
			sum.faults += n
		}
		w.t.Logf("%s: %s", id, strings.Join(w.fronts[id].faults(), " "))
	}
	return sum
}

func (w *world) wrong(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("seed %d: "+format, append([]any{w.seed}, args...)...)
}

// explain prints what the store knows of a call.
func (w *world) explain(c *bridge.Call) {
	w.t.Helper()
	w.store(func(db *store.DB) error {
		events, err := db.Events(w.t.Context(), c.ID)
		if err != nil {
			return err
		}
		w.t.Logf("call %+v", *c)
		for _, e := range events {
			w.t.Logf("  %s %s %s %+v", e.At.Format(time.StampMilli), e.Kind, e.Name, e.Leg)
		}
		links, err := db.LooseEvents(w.t.Context(), "office", c.StartedAt.Add(-time.Second))
		for _, e := range links {
			if (e.Kind == bridge.LinkUp || e.Kind == bridge.LinkLost) && e.At.Before(c.EndedAt.Add(time.Second)) {
				n := -1
				if e.Snapshot != nil {
					n = len(e.Snapshot.Channels)
				}
				w.t.Logf("  link %s %s %s, %s…%s, %d channels", e.At.Format(time.StampMilli), e.Kind, e.ID, e.From.Format(time.StampMilli), e.To.Format(time.StampMilli), n)
			}
		}
		if err != nil {
			return err
		}
		return nil
	})
}

// story tells what was done in a CRM for a call.
func (w *world) story(id, call string) {
	w.t.Helper()
	w.store(func(db *store.DB) error {
		ds, err := db.Deliveries(w.t.Context(), store.DeliveryFilter{Integration: id, CallID: call})
		for _, d := range ds {
			w.t.Logf("  %s %s %q object %s", d.Action.Key, d.State, d.Note, d.ObjectID)
		}
		return err
	})
	for _, s := range w.fronts[id].about(call) {
		w.t.Logf("  %s", s)
	}
}

// company compares the PBX with the store.
func (w *world) company(all []bridge.Call) (sum tally) {
	w.t.Helper()
	golden := aristream.Expected()
	byPBX := map[string][]*bridge.Call{}
	for i := range all {
		byPBX[all[i].PBXCallID] = append(byPBX[all[i].PBXCallID], &all[i])
	}
	for _, p := range w.played {
		sum.calls++
		list := byPBX[p.id]
		delete(byPBX, p.id)
		for _, id := range p.channels {
			// A consultation call whose transfer nobody saw is a call of its own.
			for _, c := range byPBX[id] {
				if id != p.id && len(c.Gaps) > 0 {
					delete(byPBX, id)
				}
			}
		}
		if len(list) == 0 {
			w.wrong("call %s (%s from %s, %v…%v) is lost", p.id, p.scenario, p.client, p.from.Format(time.StampMilli), p.to.Format(time.StampMilli))
			for _, s := range w.down {
				if s.to.After(p.from.Add(-2*time.Second)) && s.from.Before(p.to.Add(2*time.Second)) {
					w.t.Logf("  nobody listened %s…%s", s.from.Format(time.StampMilli), s.to.Format(time.StampMilli))
				}
			}
			continue
		}
		if len(list) > 1 {
			w.wrong("call %s (%s) is there %d times", p.id, p.scenario, len(list))
			for _, c := range list {
				w.explain(c)
			}
		}
		c, want := list[0], golden[p.scenario][0]
		if c.Client != "" && string(c.Client) != "+"+p.client || c.Client == "" && want.Client != "" && len(c.Gaps) == 0 {
			w.wrong("call %s (%s) has client %q instead of %s", p.id, p.scenario, c.Client, p.client)
			w.explain(c)
		}
		if len(c.Gaps) > 0 || p.from.Before(w.settling) {
			sum.gaps++
			if c.Direction != want.Direction || c.Outcome != want.Outcome || !within(c.AnsweredBy, want.AnsweredBy) {
				// It is there once and belongs to the right client; what happened in the
				// very moment of a reconnect need not be told by anybody.
				sum.differ++
				w.t.Logf("seed %d: call %s (%s) with a gap is %s %s by %v, want %s %s by %v", w.seed, p.id, p.scenario, c.Direction, c.Outcome, c.AnsweredBy, want.Direction, want.Outcome, want.AnsweredBy)
				w.explain(c)
			}
			continue
		}
		sum.exact++
		if c.Direction != want.Direction || c.Outcome != want.Outcome || c.Reason != want.Reason || !slices.Equal(c.AnsweredBy, want.AnsweredBy) {
			w.wrong("call %s (%s) is %s %s %q by %v, want %s %s %q by %v", p.id, p.scenario,
				c.Direction, c.Outcome, c.Reason, c.AnsweredBy, want.Direction, want.Outcome, want.Reason, want.AnsweredBy)
			w.explain(c)
		}
	}
	for id, list := range byPBX {
		w.wrong("the PBX never had call %q", id)
		w.explain(list[0])
	}
	return sum
}

// within says that some are all of want, or some of them: of who talked in a
// gap the log tells the last one at least.
func within(some, want []string) bool {
	for _, s := range some {
		if !slices.Contains(want, s) {
			return false
		}
	}
	return len(some) > 0 || len(want) == 0
}

// objects compares the ledger of one integration with its CRM: every object
// stands for one delivery, and every delivery done has its object.
func (w *world) objects(id string, s sandbox.Sandbox, made []bridge.Delivery, calls map[string]*bridge.Call) int {
	w.t.Helper()
	kinds := map[bridge.ActionKind]string{bridge.ActContact: "contact", bridge.ActCommunication: "communication", bridge.ActTask: "task",
		bridge.ActProcess: "deal", bridge.ActCall: "call"}
	want := map[string]map[string]*bridge.Delivery{} // kind → object → delivery
	for _, k := range kinds {
		want[k] = map[string]*bridge.Delivery{}
	}
	for i := range made {
		d := &made[i]
		kind := kinds[d.Action.Kind]
		if kind == "" || d.State != bridge.Done {
			if kind != "" && d.State == bridge.Skipped && d.Action.Wanted && d.Action.Known == nil && !strings.Contains(d.Note, "part of call") {
				if c := calls[d.CallID]; c == nil || c.Client != "" {
					w.wrong("%s: %s of call %s was wanted and is skipped: %s", id, d.Action.Kind, d.CallID, d.Note)
					if c != nil {
						w.explain(c)
					}
				}
			}
			continue
		}
		if d.ObjectID == "" {
			w.wrong("%s: delivery %s is done and names no object", id, d.Action.Key)
			continue
		}
		if old := want[kind][d.ObjectID]; old != nil && kind != "contact" {
			w.wrong("%s: %s and %s are one %s, %s", id, old.Action.Key, d.Action.Key, kind, d.ObjectID)
		}
		want[kind][d.ObjectID] = d
	}
	n := 0
	phones, keys := map[string]int{}, map[string]int{}
	for _, o := range s.Objects() {
		if o.Seed || want[o.Kind] == nil {
			continue
		}
		n++
		d := want[o.Kind][o.ID]
		delete(want[o.Kind], o.ID)
		switch o.Kind {
		case "contact":
			phones[phoneOf(o)]++
		case "call":
			w.call(id, o, keys, calls)
			continue
		}
		if d == nil && w.putBack && plannedAgain(o, made) {
			continue
		}
		if d == nil {
			w.wrong("%s: %s %s (%s) is of no delivery: made twice, or lost from the ledger: %v", id, o.Kind, o.ID, o.Title, o.Fields)
			text := fmt.Sprint(o.Fields)
			for _, d := range made {
				if strings.Contains(text, d.CallID) {
					w.story(id, d.CallID)
					break
				}
			}
		}
	}
	for kind, left := range want {
		for oid, d := range left {
			if kind == "call" && id == megaplanID {
				continue // one with its windows; counted by key
			}
			w.wrong("%s: %s %s of %s is not in the CRM", id, kind, oid, d.Action.Key)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(phones)) {
		if phones[p] > 1 {
			w.wrong("%s: %d contacts have the number %s", id, phones[p], p)
		}
	}
	for k, n := range keys {
		if n > 1 {
			w.wrong("%s: %d calls have the key %s", id, n, k)
			w.story(id, strings.Split(k+":", ":")[1])
		}
	}
	for _, d := range made {
		if d.Action.Kind != bridge.ActCall || d.State != bridge.Done {
			continue
		}
		k := d.Action.Key
		if id == megaplanID {
			k = "callbridge:" + d.CallID
		}
		if keys[k] != 1 {
			w.wrong("%s: call %s is there %d times", id, d.CallID, keys[k])
		}
	}
	return n
}

// plannedAgain says that the store, put back to an older state, planned the
// object again and found that nothing is to be done: a deal for a new client,
// who is none any more.
func plannedAgain(o sandbox.Object, made []bridge.Delivery) bool {
	text := fmt.Sprint(o.Fields)
	return slices.ContainsFunc(made, func(d bridge.Delivery) bool {
		return d.State == bridge.Skipped && strings.Contains(text, "["+d.Action.Key+"]")
	})
}

// call checks a call in a CRM against the store.
func (w *world) call(id string, o sandbox.Object, keys map[string]int, calls map[string]*bridge.Call) {
	w.t.Helper()
	key := o.Value("key")
	if id == retailID {
		key = o.Value("externalId")
	}
	keys[key]++
	part := strings.Split(key, ":")
	if len(part) < 2 || calls[part[1]] == nil {
		w.wrong("%s: the call %s in the CRM is none of ours: %v", id, key, o.Fields)
		w.story(id, part[1])
		return
	}
	c := calls[part[1]]
	phone := c.Client.Digits()
	if id == retailID {
		missed := c.Outcome != bridge.Answered
		if o.Value("phone") != phone || (o.Value("result") == "answered") == missed || (o.Value("type") == "out") != (c.Direction == bridge.Out) {
			w.wrong("%s: call %s from %s, %s %s, is %v", id, key, phone, c.Direction, c.Outcome, o.Fields)
		}
		return
	}
	if c.Direction != bridge.Internal && phone != "" && o.Value("fromPhone") != phone && o.Value("toPhone") != phone {
		w.wrong("%s: call %s from %s is %v", id, key, phone, o.Fields)
	}
}

func phoneOf(o sandbox.Object) string {
	if p := o.Value("phone"); p != "" {
		return p
	}
	return o.Value("phones")
}
