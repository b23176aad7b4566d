package app

import (
	"context"
	"fmt"
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

// repairing passes events on to the core. The end of a gap goes there together
// with what the PBX's call log tells of it (F-2): the calls of the gap are
// closed, corrected and added in one step, without cards for what is over.
func (a *App) repairing(p *phoneSystem) func(bridge.Event) {
	if p.log == nil {
		return a.core.emit
	}
	var gap *bridge.Event
	return func(e bridge.Event) {
		switch {
		case e.Kind == bridge.LinkLost:
			lost := e
			gap = &lost
			a.core.emit(e)
		case e.Kind == bridge.LinkUp && gap != nil:
			lost, up := *gap, e
			gap = nil
			a.repairs.Go(func() { a.repair(p, &lost, up) })
		default:
			a.core.emit(e)
		}
	}
}

// repair reads the log and ends the gap; it always ends it.
func (a *App) repair(p *phoneSystem, lost *bridge.Event, up bridge.Event) {
	p.repairing.Lock()
	defer p.repairing.Unlock()
	from, to := lost.From, up.At
	if from.IsZero() {
		from = lost.At
	}
	if to.Sub(from) > repairSpan {
		from = bridge.At(to.Add(-repairSpan))
	}
	a.writer.flush() // what was seen before the gap is stored now
	open, err := a.lived(a.work, p.id)
	var found cdr.Result
	if err == nil {
		found, err = a.readLog(p, open, from, to, up.Snapshot)
	}
	if err != nil {
		a.log.Error("the PBX's call log could not be read: what happened while the link was lost stays unknown", "pbx", p.id, "err", err)
	}
	a.core.emitTogether(append(found.Events, up))
	a.told(p, found, from, to)
	began := time.Now()
	for _, wait := range repairAgain {
		select {
		case <-a.links.Done():
			return
		case <-time.After(wait - time.Since(began)):
		}
		again, err := a.readLog(p, open, from, to, up.Snapshot)
		if err != nil || len(again.Events) <= len(found.Events) {
			continue
		}
		found = again
		a.core.emitTogether(found.Events) // known ones change nothing
		a.told(p, found, from, to)
	}
}

func (a *App) told(p *phoneSystem, r cdr.Result, from, to bridge.Time) {
	a.log.Info("the PBX's call log was compared with the calls known before the link was lost", "pbx", p.id,
		"from", from.Time, "to", to.Time, "closed", len(r.Closed), "added", len(r.Added), "unknown", len(r.Unknown))
}

// lived are the calls that had not ended when the gap began.
func (a *App) lived(ctx context.Context, pbx string) ([]cdr.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, repairTime)
	defer cancel()
	open, err := a.db.OpenCalls(ctx, pbx)
	if err != nil {
		return nil, err
	}
	out := make([]cdr.Seen, len(open))
	for i, o := range open {
		out[i] = cdr.Seen{CallID: o.Call.ID, Events: o.Events}
	}
	return out, nil
}

func (a *App) readLog(p *phoneSystem, open []cdr.Seen, from, to bridge.Time, now *bridge.Snapshot) (cdr.Result, error) {
	ctx, cancel := context.WithTimeout(a.work, repairTime)
	defer cancel()
	records, err := p.log(ctx, from, to)
	if err != nil {
		return cdr.Result{}, err
	}
	in := cdr.Input{PBX: p.id, From: from, To: to, Records: records, Open: open, Snapshot: now,
		Channel: p.channel, Whole: map[string]bool{}}
	isOpen := map[string]bool{}
	for _, o := range open {
		isOpen[o.CallID] = true
	}
	// Calls of the log that we know and that were over.
	for _, id := range cdr.Calls(records) {
		c, err := a.db.CallByPBXID(ctx, p.id, id.Since.Time, id.ID)
		if err != nil {
			return cdr.Result{}, err
		}
		if c.ID != "" && !isOpen[c.ID] && c.Ended() && !hasLogGap(&c) {
			in.Whole[id.ID] = true
		}
	}
	return cdr.Events(in), nil
}

// hasLogGap says that the record comes from the log itself: to read it again
// is to repeat, not to contradict.
func hasLogGap(c *bridge.Call) bool {
	for _, g := range c.Gaps {
		if g.Reason == "call_log" {
			return true
		}
	}
	return false
}

// asteriskChannel says what names of channels mean at this PBX.
func asteriskChannel(c ari.Config) func(string) bridge.Channel {
	return ari.NewDecoder(ari.DecodeOptions{PBX: c.ID, Trunks: c.Trunks, Phones: c.Phones, Extensions: c.Names}).Channel
}
