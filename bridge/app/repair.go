package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/pbx/ari"
	"callbridge/pbx/cdr"
	"callbridge/store/cdrtable"
)

const (
	// repairTime is how long the end of a gap may wait for the call log. Live
	// events do not wait: their order does not matter to the tracker.
	repairTime = 4 * time.Second
	// lateRecords is how long a call that is over waits for its record.
	lateRecords = 5 * time.Second
	// repairSpan is the longest gap that is looked for in the log.
	repairSpan = 7 * 24 * time.Hour
)

// repairAgain is when the log is asked again, for records that were written
// late. The tracker remembers ended calls for a minute.
var repairAgain = []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second}

// callLog reads the PBX's own record of a gap.
type callLog func(ctx context.Context, from, to bridge.Time) ([]cdr.Record, error)

// openCallLog returns nil if the configuration names none.
func (a *App) openCallLog(c config.PBX) (callLog, error) {
	zone := a.cfg.ZoneOf(c.ID)
	if c.CDR.TimeZone != "" {
		z, err := time.LoadLocation(c.CDR.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("cdr.time_zone: %w", err)
		}
		zone = z
	}
	switch {
	case c.CDR.CSV != "":
		return func(_ context.Context, from, _ bridge.Time) ([]cdr.Record, error) {
			list, bad, err := cdr.ReadCSV(c.CDR.CSV, c.CDR.Columns, zone, from)
			if bad > 0 {
				a.log.Warn("lines of the PBX's call log could not be read: do the columns in the configuration fit?", "pbx", c.ID, "lines", bad)
			}
			return list, err
		}, nil
	case c.CDR.Database != "":
		var table *cdrtable.Table
		return func(ctx context.Context, from, to bridge.Time) ([]cdr.Record, error) {
			if table == nil { // the file may come later than we do
				t, err := cdrtable.Open(c.CDR.Database.Reveal(), c.CDR.Table, zone)
				if err != nil {
					return nil, err
				}
				table = t
				context.AfterFunc(a.work, func() { _ = t.Close() })
			}
			rows, err := table.Read(ctx, from.Time, to.Time)
			if err != nil {
				return nil, err
			}
			out := make([]cdr.Record, 0, len(rows))
			for _, row := range rows {
				r, err := cdr.Parse(row, zone)
				if err != nil {
					return nil, err
				}
				out = append(out, r)
			}
			return out, nil
		}, nil
	}
	return nil, nil
}

// repairing passes events on to the core. The end of a gap goes there twice:
// at once for what lives, and then together with what the PBX's call log tells
// (F-2), for what is over: the calls of the gap are closed, corrected and added
// in one step, without cards for them.
func (a *App) repairing(p *phoneSystem) func(bridge.Event) {
	if p.log == nil {
		return a.core.emit
	}
	var gap *bridge.Event
	var held *heldBack
	return func(e bridge.Event) {
		switch {
		case held.keep(e):
		case e.Kind == bridge.LinkLost:
			lost := e
			gap = &lost
			a.core.emit(e)
		case e.Kind == bridge.LinkUp && gap != nil:
			lost, up := *gap, e
			gap = nil
			if e.Snapshot != nil {
				alive := *e.Snapshot
				alive.Partial = true
				e.Snapshot = &alive
				a.core.emit(e)
				up.ID, up.Name = up.ID+":"+bridge.FromCallLog, bridge.FromCallLog
			}
			mine := &heldBack{until: up.Seen}
			held = mine
			a.repairs.Go(func() {
				if g, found := a.repair(p, &lost, up, mine); g != nil {
					a.repairLate(g, found)
				}
			})
		default:
			a.core.emit(e)
		}
	}
}

// heldBack are ends that had come when the snapshot was made: those calls need
// not be in it, and what became of them before, the log must tell first.
type heldBack struct {
	until  bridge.Time // by our clock
	mu     sync.Mutex
	events []bridge.Event
	over   bool
}

// keep says whether it took e.
func (h *heldBack) keep(e bridge.Event) bool {
	if h == nil || e.Seen.IsZero() || e.Seen.After(h.until.Time) {
		return false
	}
	switch e.Kind {
	case bridge.ChannelEnded, bridge.Hangup, bridge.DialEnded:
	default:
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.events = append(h.events, e)
	return true
}

// release returns what was held; from now on nothing is.
func (h *heldBack) release() []bridge.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	return h.events
}

// repair reads the log and ends the gap; it returns it, and what the log told,
// unless the program stops.
func (a *App) repair(p *phoneSystem, lost *bridge.Event, up bridge.Event, held *heldBack) (*gap, cdr.Result) {
	p.repairing.Lock()
	defer p.repairing.Unlock()
	g := gap{p: p, from: lost.From, to: up.At, now: up.Snapshot}
	if g.from.IsZero() {
		g.from = lost.At
	}
	if g.to.Sub(g.from) > repairSpan {
		g.from = bridge.At(g.to.Add(-repairSpan))
	}
	a.writer.flush() // what was seen before the gap is stored now
	if a.links.Err() != nil {
		return nil, cdr.Result{} // or it would be, were there time
	}
	err := a.whatLived(&g)
	var found cdr.Result
	if err == nil {
		found, err = a.readLog(&g)
	}
	if err == nil && len(found.Events) > 0 {
		a.core.emitTogether(found.Events)
	}
	a.told(&g, found)
	g.settle(found)
	// A call that is over and not in the log yet has no outcome we could tell
	// anybody. The record may come in a moment; if we die meanwhile, the call
	// is still open when we are back.
	began := time.Now()
	for err == nil && len(found.Unknown) > 0 && time.Since(began) < lateRecords {
		if !sleep(a.links, lateRecords/20) {
			return nil, found // whoever starts next finds the calls open, and this gap
		}
		var more cdr.Result
		if more, err = a.readLog(&g); err == nil && len(more.Closed) > len(found.Closed) {
			found = more
			a.core.emitTogether(found.Events) // known ones change nothing
			a.told(&g, found)
		}
	}
	if err != nil {
		a.log.Error("the PBX's call log could not be read: what happened while the link was lost stays unknown", "pbx", p.id, "err", err)
	}
	a.core.emitTogether(append(held.release(), up))
	began = time.Now()
	for _, wait := range repairAgain {
		if !sleep(a.links, wait-time.Since(began)) {
			return nil, found
		}
		a.writer.flush()
		if a.links.Err() != nil {
			return nil, found
		}
		again, err := a.readLog(&g)
		if err != nil || len(again.Events) <= len(found.Events) {
			continue
		}
		found = again
		a.core.emitTogether(found.Events) // known ones change nothing
		a.told(&g, found)
		g.settle(found)
	}
	return &g, found
}

// sleep is false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// gap is one that is being repaired.
type gap struct {
	p        *phoneSystem
	from, to bridge.Time
	earlier  []cdr.Span       // gaps before it: their records may have come late
	open     []cdr.Seen       // calls that had not ended when it began
	now      *bridge.Snapshot // what the PBX had at its end
	ours     map[string]bool  // calls that the log made or closed already: to read them again is to repeat
}

// settle notes what the log told: from now on other calls tell themselves.
func (g *gap) settle(found cdr.Result) {
	g.ours = map[string]bool{}
	for _, id := range slices.Concat(found.Added, found.Closed, found.Unknown) {
		g.ours[id] = true
	}
	g.open = slices.DeleteFunc(g.open, func(s cdr.Seen) bool { return !g.ours[s.CallID] })
}

// since is the time from which on records matter.
func (g *gap) since() bridge.Time {
	from := g.from
	for _, e := range g.earlier {
		if e.From.Before(from.Time) {
			from = e.From
		}
	}
	for _, o := range g.open {
		for i := range o.Events {
			if at := o.Events[i].At; at.Before(from.Time) {
				from = at
			}
		}
	}
	if g.to.Sub(from) > repairSpan {
		return bridge.At(g.to.Add(-repairSpan))
	}
	return from
}

func (a *App) told(g *gap, r cdr.Result) {
	a.log.Info("the PBX's call log was compared with the calls known before the link was lost", "pbx", g.p.id,
		"from", g.from.Time, "to", g.to.Time, "closed", len(r.Closed), "added", len(r.Added), "unknown", len(r.Unknown))
}

// whatLived finds the calls that had not ended when the gap began, and the
// gaps shortly before it: a program that dies again and again leaves several.
func (a *App) whatLived(g *gap) error {
	ctx, cancel := context.WithTimeout(a.work, repairTime)
	defer cancel()
	open, err := a.db.OpenCalls(ctx, g.p.id)
	if err != nil {
		return err
	}
	for _, o := range open {
		g.open = append(g.open, cdr.Seen{CallID: o.Call.ID, Events: o.Events})
	}
	since := g.since()
	for _, o := range open {
		if o.Call.StartedAt.Before(since.Time) {
			since = o.Call.StartedAt
		}
	}
	loose, err := a.db.LooseEvents(ctx, g.p.id, since.Add(-looseFor))
	if err != nil {
		return err
	}
	for i, o := range open {
		if len(o.Events) == 0 {
			g.open[i].Events = onlyInSnapshots(&o.Call, loose)
		}
	}
	for _, e := range loose {
		if e.Kind == bridge.LinkLost && !e.From.IsZero() && e.From.Before(g.from.Time) {
			g.earlier = append(g.earlier, cdr.Span{From: e.From, To: e.To})
		}
	}
	return nil
}

// onlyInSnapshots is what is known of a call that we met on coming back, and
// of which no event followed.
func onlyInSnapshots(c *bridge.Call, links []bridge.Event) []bridge.Event {
	var out []bridge.Event
	for _, e := range links {
		if e.Kind != bridge.LinkUp || e.Snapshot == nil {
			continue
		}
		for _, ch := range e.Snapshot.Channels {
			if ch.ID == c.PBXCallID || ch.Group == c.PBXCallID {
				out = append(out, bridge.Event{Kind: bridge.UnknownEvent, PBX: c.PBX, At: e.At, Leg: &ch})
			}
		}
	}
	return out
}

func (a *App) readLog(g *gap) (cdr.Result, error) {
	ctx, cancel := context.WithTimeout(a.work, repairTime)
	defer cancel()
	records, err := g.p.log(ctx, g.since(), g.to)
	if err != nil {
		return cdr.Result{}, err
	}
	in := cdr.Input{PBX: g.p.id, From: g.from, To: g.to, Earlier: g.earlier, Records: records, Open: g.open, Snapshot: g.now,
		Channel: g.p.channel, Whole: map[string]bool{}}
	if err := a.knownWhole(ctx, g, &in); err != nil {
		return cdr.Result{}, err
	}
	return cdr.Events(in), nil
}

// near is how far apart the beginning of a call may be here and in a log that
// cuts times to seconds.
const near = 2 * time.Second

// knownWhole finds the calls of the log that we know and that need no repair.
func (a *App) knownWhole(ctx context.Context, g *gap, in *cdr.Input) error {
	refs := cdr.Calls(in.Records)
	if len(refs) == 0 {
		return nil
	}
	from, to := refs[0].Since, refs[0].Since
	for _, r := range refs {
		if r.Since.Before(from.Time) {
			from = r.Since
		}
		if r.Since.After(to.Time) {
			to = r.Since
		}
	}
	byID, err := a.db.CallsByPBXID(ctx, g.p.id, from.Add(-near), to.Add(near))
	if err != nil {
		return err
	}
	isOpen := map[string]bool{}
	for _, o := range g.open {
		isOpen[o.CallID] = true
	}
	for _, r := range refs {
		id := byID[r.ID]
		if id == "" && !g.inside(r.Since) {
			// A consultation that became part of a call at once never was one.
			if id, err = a.db.CallOfChannel(ctx, g.p.id, r.Since.Add(-near), r.Since.Add(near), r.ID); err != nil {
				return err
			}
		}
		if id != "" && !isOpen[id] && !g.ours[r.ID] {
			in.Whole[r.ID] = true
		}
	}
	return nil
}

// inside says that nothing at all was seen around t.
func (g *gap) inside(t bridge.Time) bool {
	for _, s := range append(slices.Clone(g.earlier), cdr.Span{From: g.from, To: g.to}) {
		if t.Add(-near).After(s.From.Time) && t.Add(near).Before(s.To.Time) {
			return true
		}
	}
	return false
}

// asteriskChannel says what names of channels mean at this PBX.
func asteriskChannel(c ari.Config) func(string) bridge.Channel {
	return ari.NewDecoder(ari.DecodeOptions{PBX: c.ID, Trunks: c.Trunks, Phones: c.Phones, Extensions: c.Names}).Channel
}
