package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/deliver"
	"callbridge/bridge/trace"
	"callbridge/bridge/track"
	"callbridge/crm"
)

// lookups find out who is calling while the phone already rings: last calls
// and the local index at once, then every active CRM. No card waits for it, and
// a CRM that hangs costs a bounded number of goroutines.
type lookups struct {
	app   *App
	slots chan struct{}

	mu    sync.Mutex
	asked map[string]bool // call ids
}

func newLookups(a *App) *lookups {
	return &lookups{app: a, slots: make(chan struct{}, 64), asked: map[string]bool{}}
}

// lookupLimit is how long a CRM may take to say who is calling.
const lookupLimit = 5 * time.Second

// changed is called by the core for every change; it never blocks.
func (l *lookups) changed(ch *track.Change) {
	c := &ch.Call
	if c.Ended() || len(ch.Merged) > 0 {
		l.mu.Lock()
		for _, id := range ch.Merged {
			delete(l.asked, id)
		}
		if c.Ended() {
			delete(l.asked, c.ID)
		}
		l.mu.Unlock()
	}
	if c.Ended() {
		return
	}
	if c.Client == "" || c.Direction == bridge.Internal {
		return
	}
	l.mu.Lock()
	first := !l.asked[c.ID]
	l.asked[c.ID] = true
	l.mu.Unlock()
	if !first {
		return
	}
	id, n, line, in := c.ID, c.Client, c.Line, c.Direction == bridge.In
	l.app.lookupWork.Go(func() { l.local(id, n, line, in) })
	for _, t := range l.app.targets() {
		if !t.usable() || !takesLine(t.settings, line) {
			continue
		}
		select {
		case l.slots <- struct{}{}:
			l.app.lookupWork.Go(func() {
				defer func() { <-l.slots }()
				l.remote(t, id, n)
			})
		default: // many CRM questions hang: the card does without
			l.app.hub.Enrich(id, card.Info{Clients: []card.Client{l.trouble(t, "busy")}})
		}
	}
}

func takesLine(in bridge.Integration, line string) bool {
	return len(in.Lines) == 0 || slices.Contains(in.Lines, line)
}

// local tells what we know ourselves. Where a client came from is said only if
// he called: who is called by us did not come by that line.
func (l *lookups) local(id string, n bridge.Number, line string, in bool) {
	ctx, cancel := context.WithTimeout(l.app.work, 2*time.Second)
	defer cancel()
	ln := l.app.line(line)
	info := card.Info{LineName: ln.Name}
	if in {
		info.Source = ln.Source
	}
	if rows, err := l.app.db.ContactsByNumber(ctx, n); err == nil {
		for _, r := range rows {
			t := l.app.targetOf(r.Integration)
			if t == nil || r.ID == "" || !takesLine(t.settings, line) {
				continue
			}
			info.Clients = append(info.Clients, l.client(t, entryOf(r)))
		}
	}
	if calls, err := l.app.db.CallsOfClient(ctx, n, 6); err == nil {
		for _, c := range calls {
			if c.ID == id {
				continue
			}
			last := card.LastCall{ID: c.ID, At: c.StartedAt, Direction: c.Direction, Outcome: c.Outcome}
			if ext := c.LastTalked(); ext != "" {
				last.Person = cmpOr(l.app.employee(ext), ext)
			}
			if c.TalkMS != nil {
				last.TalkMS = *c.TalkMS
			}
			if len(info.LastCalls) < 5 {
				info.LastCalls = append(info.LastCalls, last)
			}
		}
	}
	l.app.hub.Enrich(id, info)
}

// remote asks one CRM.
func (l *lookups) remote(t *target, id string, n bridge.Number) {
	ctx, cancel := context.WithTimeout(l.app.work, lookupLimit)
	defer cancel()
	ctx = t.asking(ctx, crm.Urgent)
	tr := l.app.opts.Trace
	ctx, span := tr.Start(tr.Call(ctx, id), "who is calling", false, trace.Text("integration", t.settings.ID))
	e, err := t.book.Find(ctx, n, time.Minute)
	span.Say(trace.Flag("found", err == nil && e.Found()))
	defer span.End(failed(err))
	if err != nil {
		t.refused(ctx, "who is calling", err)
		if old, ok := t.book.Known(ctx, n); ok && old.Found() {
			c := l.client(t, old)
			c.Trouble = "slow"
			l.app.hub.Enrich(id, card.Info{Clients: []card.Client{c}})
			return
		}
		l.app.hub.Enrich(id, card.Info{Clients: []card.Client{l.trouble(t, "down")}})
		return
	}
	c := l.client(t, e)
	l.app.hub.Enrich(id, card.Info{Clients: []card.Client{c}})
	dm, ok := t.client.(crm.DealMaker)
	if !ok || !e.Found() {
		return
	}
	deals, err := dm.OpenDeals(ctx, e.Contact.ID)
	if err == nil {
		err = t.book.KeepDeals(ctx, n, e.Contact.ID, deals)
	}
	if err != nil || len(deals) == 0 {
		return
	}
	for _, d := range deals[:min(len(deals), 5)] {
		c.Deals = append(c.Deals, card.Deal{Name: d.Name, Stage: d.Stage, Sum: d.Sum, Currency: d.Currency, URL: d.URL})
	}
	l.app.hub.Enrich(id, card.Info{Clients: []card.Client{c}})
}

func (l *lookups) client(t *target, e deliver.Entry) card.Client {
	c := e.Contact
	out := card.Client{Integration: t.settings.ID, Order: l.app.orderOf(t.settings.ID), Title: l.app.titleOf(t), Found: c.ID != "", Name: c.Name, Company: c.Company,
		Responsible: c.Manager, URL: c.URL}
	if e.Several > 1 {
		out.Several = e.Several
	}
	for _, o := range e.Others {
		other := card.Candidate{Name: o.Name, Company: o.Company, Responsible: o.Manager, URL: o.URL}
		if who, ok := t.ByUser(o.Responsible); ok && o.Responsible != "" {
			other.Responsible = cmpOr(who.Name, o.Manager)
		}
		out.Others = append(out.Others, other)
	}
	if c.Responsible != "" {
		if who, ok := t.ByUser(c.Responsible); ok {
			out.Responsible, out.ResponsibleExtension = cmpOr(who.Name, c.Manager), who.Extension
		}
	}
	return out
}

// trouble is a client whom a CRM could not tell.
func (l *lookups) trouble(t *target, why string) card.Client {
	return card.Client{Integration: t.settings.ID, Order: l.app.orderOf(t.settings.ID), Title: l.app.titleOf(t), Trouble: why}
}

func (a *App) orderOf(id string) int {
	a.targetMu.RLock()
	defer a.targetMu.RUnlock()
	return slices.Index(a.order, id)
}

func (a *App) titleOf(t *target) string { return cmpOr(t.settings.Name, t.driver.Title) }

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
