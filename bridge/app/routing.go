package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/route"
	"callbridge/crm"
	"callbridge/pbx"
)

// newRouter joins the router to what we know: the index of contacts, who
// talked last, and the CRMs' own answer.
func (a *App) newRouter() *route.Router {
	return &route.Router{Limit: time.Second, Now: time.Now, Phones: a.phoneFree,
		Local:  []route.Source{a.responsibleOfIndex, a.talkedLast},
		Remote: []route.Source{a.managerOfCRM}}
}

// asked answers a routing question that came as an event; it never blocks the core.
func (a *App) asked(e bridge.Event) {
	a.lookupWork.Go(func() {
		q := route.Question{PBX: e.PBX}
		if len(e.Args) > 1 {
			q.Line = a.lineNumber(e.PBX, e.Args[1])
		}
		if len(e.Args) > 2 {
			q.Client, _ = phone.Parse(e.Args[2], a.cfg.CountryOf(e.PBX))
		} else if e.Leg != nil {
			q.Client, _ = phone.Parse(e.Leg.Number, a.cfg.CountryOf(e.PBX))
		}
		ans := a.router.Answer(a.work, q)
		a.metrics.routing.Observe(ans.Took.Seconds())
		p := a.pbx(e.PBX)
		if p == nil || e.Leg == nil {
			return
		}
		ra, ok := p.stream.(pbx.RouteAnswerer)
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(a.work, 2*time.Second)
		defer cancel()
		if err := ra.AnswerRoute(ctx, e.Leg.ID, ans.Extension); err != nil {
			a.log.Warn("the PBX could not be told who takes the call", "pbx", e.PBX, "err", err)
			return
		}
		a.log.Info("routed", "pbx", e.PBX, "extension", ans.Extension, "why", ans.Why, "ms", ans.Took.Milliseconds())
	})
}

// phoneFree says whether a phone can take a call now (M-4.6).
func (a *App) phoneFree(_ context.Context, pbxID, ext string) (bool, string) {
	if a.hub.DND(ext) {
		return false, "do not disturb"
	}
	if a.phones.offline(pbxID, ext) {
		return false, "the phone is not registered"
	}
	for _, c := range a.core.liveCalls() {
		for _, l := range c.Legs {
			if l.Extension == ext && !l.AnswerAt.IsZero() && l.EndAt.IsZero() {
				return false, "on the phone"
			}
		}
	}
	return true, ""
}

func (a *App) managing(line string) []*target {
	return slices.DeleteFunc(a.targets(), func(t *target) bool {
		return !t.settings.Calls.PersonalManager || !takesLine(t.settings, line)
	})
}

// responsibleOfIndex is the contact's responsible as we last saw it in the CRM.
func (a *App) responsibleOfIndex(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	var out []route.Candidate
	for _, t := range a.managing(q.Line) {
		e, ok := t.book.Known(ctx, q.Client)
		if !ok || !e.Found() || e.Contact.Responsible == "" {
			continue
		}
		who, ok := t.ByUser(e.Contact.Responsible)
		if !ok {
			continue
		}
		out = append(out, route.Candidate{Extension: who.Extension, Name: who.Name,
			Why: fmt.Sprintf("responsible of contact %s in %s", e.Contact.ID, t.settings.ID)})
	}
	return out, nil
}

// talkedLast is the employee who talked with the client last, where an
// integration wants personal managers at all.
func (a *App) talkedLast(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	asks := a.managing(q.Line)
	if len(asks) == 0 {
		return nil, nil
	}
	for _, t := range asks {
		if _, known := t.book.Known(ctx, q.Client); !known && t.active {
			return nil, nil // the CRM has not been asked yet and comes first
		}
	}
	calls, err := a.db.CallsOfClient(ctx, q.Client, 5)
	if err != nil {
		return nil, err
	}
	for _, c := range calls {
		if ext := c.LastTalked(); ext != "" {
			return []route.Candidate{{Extension: ext, Name: a.employee(ext), Why: "talked last with the client"}}, nil
		}
	}
	return nil, nil
}

// managerOfCRM asks the CRMs, all at once, in the time that is left. The first
// integration in the settings' order that knows somebody wins.
func (a *App) managerOfCRM(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	asks := slices.DeleteFunc(a.managing(q.Line), func(t *target) bool { return !t.active })
	type reply struct {
		m   crm.Manager
		err error
	}
	replies := make([]chan reply, len(asks))
	for i, t := range asks {
		r, ok := t.client.(crm.Router)
		if !ok {
			continue
		}
		c := make(chan reply, 1)
		replies[i] = c
		go func() {
			m, err := r.PersonalManager(ctx, q.Client)
			c <- reply{m, err}
		}()
	}
	var out []route.Candidate
	var trouble error
	for i, c := range replies {
		if c == nil {
			continue
		}
		select {
		case r := <-c:
			if r.err != nil {
				trouble = r.err
				continue
			}
			ext := r.m.Extension
			if ext == "" && r.m.User != "" {
				if e, ok := asks[i].ByUser(r.m.User); ok {
					ext = e.Extension
				}
			}
			if r.m.User != "" || ext != "" {
				out = append(out, route.Candidate{Extension: ext, Name: r.m.Name, Why: "personal manager in " + asks[i].settings.ID})
			}
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	if len(out) == 0 {
		return nil, trouble
	}
	return out, nil
}
