package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/deliver"
	"callbridge/bridge/fault"
	"callbridge/bridge/phone"
	"callbridge/bridge/route"
	"callbridge/crm"
	"callbridge/pbx"
	"callbridge/store"
)

// newRouter joins the router to what we know: the index of contacts with their
// open processes, and who talked last (M-4.6).
func (a *App) newRouter() *route.Router {
	return &route.Router{Limit: time.Second, Now: time.Now, Phones: a.phoneFree, Prepare: a.learn,
		Sources: []route.Source{a.managerOfProcess, a.responsibleOfContact, a.talkedLast}}
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
		if e.Leg == nil {
			return
		}
		if p != nil {
			a.answerRoute(p, e.Leg.ID, ans)
		}
		a.keepRoute(q, cmp.Or(e.Leg.Group, e.Leg.ID), ans)
	})
}

func (a *App) answerRoute(p *phoneSystem, channel string, ans route.Answer) {
	ra, ok := p.stream.(pbx.RouteAnswerer)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(a.work, 2*time.Second)
	defer cancel()
	err := ra.AnswerRoute(ctx, channel, ans.Extension)
	switch {
	case errors.Is(err, pbx.ErrTooLate):
		a.log.Info("the call had gone on before it was routed", "pbx", p.id)
	case err != nil:
		a.log.Warn("the PBX could not be told who takes the call", "pbx", p.id, "err", err)
	default:
		a.log.Info("routed", "pbx", p.id, "extension", ans.Extension, "why", ans.Why, "ms", ans.Took.Milliseconds())
	}
}

// keepRoute stores the decision: "why did it ring at 102" is shown with the call.
func (a *App) keepRoute(q route.Question, pbxCallID string, ans route.Answer) {
	b, err := json.Marshal(ans)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.work), 10*time.Second)
		defer cancel()
		err = a.db.SaveRoute(ctx, store.RouteDecision{ID: rand.Text(), PBX: q.PBX, PBXCallID: pbxCallID, Client: q.Client,
			At: bridge.At(time.Now()), Data: string(b)})
	}
	if err != nil {
		a.log.Warn("a routing decision could not be stored", "pbx", q.PBX, "err", err)
	}
}

// phoneAsk is how long a PBX may take to say whether a phone is registered.
const phoneAsk = 200 * time.Millisecond

// phoneFree says whether a phone can take a call now (M-4.6).
func (a *App) phoneFree(ctx context.Context, pbxID, ext string) (bool, string) {
	if a.hub.DND(ext) {
		return false, "do not disturb"
	}
	if p := a.pbx(pbxID); p != nil && !a.phones.knows(pbxID, ext) {
		if pr, ok := p.stream.(pbx.Presence); ok {
			pctx, cancel := context.WithTimeout(ctx, phoneAsk)
			state, err := pr.PhoneState(pctx, ext)
			cancel()
			if err == nil && (state == "online" || state == "offline") {
				a.phones.apply(bridge.Event{PBX: pbxID, Kind: bridge.Registration, Name: ext, Value: state})
			}
		}
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
	if a.phones.busy(pbxID, ext) {
		return false, "on the phone"
	}
	return true, ""
}

// managing lists the integrations that want personal managers for a line.
func (a *App) managing(line string) []*target {
	return slices.DeleteFunc(a.targets(), func(t *target) bool {
		return !t.settings.Calls.PersonalManager || !takesLine(t.settings, line)
	})
}

// learnFor is how long the CRM may take for a client of whom the index knows
// something: nobody waits for that.
const learnFor = 10 * time.Second

// learn asks the CRMs about a client of whom the index knows nothing and waits
// for it; what the index knows already is refreshed in the background.
func (a *App) learn(ctx context.Context, q route.Question) error {
	var wait []*target
	for _, t := range a.managing(q.Line) {
		if !t.usable() {
			continue
		}
		e, known := t.book.Known(ctx, q.Client)
		if !known || !e.Found() && time.Since(e.At) > time.Minute {
			wait = append(wait, t)
			continue
		}
		if time.Since(e.At) < time.Minute {
			continue
		}
		select {
		case a.lookups.slots <- struct{}{}:
			a.lookupWork.Go(func() {
				defer func() { <-a.lookups.slots }()
				rctx, cancel := context.WithTimeout(a.work, learnFor)
				defer cancel()
				if err := a.refresh(rctx, t, q.Client); err != nil {
					a.log.Debug("what is known of a client could not be refreshed", "integration", t.settings.ID, "kind", fault.KindOf(err).String())
				}
			})
		default:
		}
	}
	errs := make([]error, len(wait))
	var wg sync.WaitGroup
	for i, t := range wait {
		wg.Go(func() { errs[i] = a.refresh(ctx, t, q.Client) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// refresh reads a client and his open processes into the index.
func (a *App) refresh(ctx context.Context, t *target, n bridge.Number) error {
	ctx = t.asking(ctx, crm.Urgent)
	e, err := t.book.Find(ctx, n, time.Second)
	if err != nil || !e.Found() {
		return err
	}
	dm, ok := t.client.(crm.DealMaker)
	if !ok {
		return nil
	}
	deals, err := dm.OpenDeals(ctx, e.Contact.ID)
	if err != nil {
		return err
	}
	return t.book.KeepDeals(ctx, n, e.Contact.ID, deals)
}

// managerOfProcess is the responsible of the newest open process.
func (a *App) managerOfProcess(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	return a.ofIndex(ctx, q, func(t *target, e deliver.Entry) (crm.UserID, string, string) {
		return e.Dealer, "", fmt.Sprintf("responsible of the open process %s in %s", e.Deal, t.settings.ID)
	}), nil
}

// responsibleOfContact is the contact's responsible, or whom the CRM's own
// routing names if the contact shows none.
func (a *App) responsibleOfContact(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	out := a.ofIndex(ctx, q, func(t *target, e deliver.Entry) (crm.UserID, string, string) {
		return e.Contact.Responsible, e.Contact.Manager, fmt.Sprintf("responsible of contact %s in %s", e.Contact.ID, t.settings.ID)
	})
	if len(out) > 0 {
		return out, nil
	}
	return a.managerOfCRM(ctx, q)
}

// ofIndex makes candidates of what the index says.
func (a *App) ofIndex(ctx context.Context, q route.Question, pick func(*target, deliver.Entry) (id crm.UserID, name, why string)) []route.Candidate {
	var out []route.Candidate
	for _, t := range a.managing(q.Line) {
		e, ok := t.book.Known(ctx, q.Client)
		if !ok || !e.Found() {
			continue
		}
		if id, name, why := pick(t, e); id != "" {
			out = append(out, t.candidate(id, name, why))
		}
	}
	return out
}

// candidate is a user of the CRM; who is dismissed, or has no extension in the
// CRM's telephony settings, is named with that reason.
func (t *target) candidate(id crm.UserID, name, why string) route.Candidate {
	who, ok := t.ByUser(id)
	c := route.Candidate{Extension: who.Extension, Name: cmp.Or(who.Name, name, string(id)), Why: why}
	switch {
	case !ok:
		c.Off = "not among the employees of " + t.driver.Title
	case !who.Active:
		c.Off = "does not work there any more"
	case c.Extension == "":
		c.Off = "no extension in " + t.driver.Title
	}
	return c
}

// talkedLast is the employee who talked with the client last, where an
// integration wants personal managers at all.
func (a *App) talkedLast(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	if len(a.managing(q.Line)) == 0 {
		return nil, nil
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

// crmRoute is how long CRMs may take to name somebody for a known client who
// has no responsible.
const crmRoute = 200 * time.Millisecond

// managerOfCRM asks those CRMs that know the client, all at once. The first
// integration in the settings' order that names somebody comes first.
func (a *App) managerOfCRM(ctx context.Context, q route.Question) ([]route.Candidate, error) {
	ctx, cancel := context.WithTimeout(ctx, crmRoute)
	defer cancel()
	var asks []*target
	for _, t := range a.managing(q.Line) {
		_, can := t.client.(crm.Router)
		if e, ok := t.book.Known(ctx, q.Client); ok && e.Found() && t.usable() && can {
			asks = append(asks, t)
		}
	}
	type reply struct {
		m   crm.Manager
		err error
	}
	replies := make([]chan reply, len(asks))
	for i, t := range asks {
		replies[i] = make(chan reply, 1)
		go func() {
			m, err := t.client.(crm.Router).PersonalManager(t.asking(ctx, crm.Urgent), q.Client)
			t.refused(ctx, "personal manager", err)
			replies[i] <- reply{m, err}
		}()
	}
	var out []route.Candidate
	var silent []string
	for i, c := range replies {
		id := asks[i].settings.ID
		select {
		case r := <-c:
			switch {
			case r.err != nil:
				silent = append(silent, id)
			case r.m.User != "":
				c := asks[i].candidate(r.m.User, r.m.Name, "personal manager in "+id)
				if c.Extension == "" && r.m.Extension != "" {
					c.Extension, c.Off = r.m.Extension, ""
				}
				out = append(out, c)
			}
		case <-ctx.Done():
			silent = append(silent, id)
		}
	}
	if len(silent) > 0 {
		return out, errors.New("no answer from " + strings.Join(silent, ", "))
	}
	return out, nil
}
