package ari

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/pbx"
)

// routes are the calls that stand in the dialplan's routing step.
type routes struct {
	mu   sync.Mutex
	open map[string]*route
}

type route struct {
	asked time.Time
	timer *time.Timer
}

func (r *routes) add(id string, q *route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[string]*route{}
	}
	if old := r.open[id]; old != nil {
		old.timer.Stop()
	}
	r.open[id] = q
}

// take ends the wait for a route; nil if there was none.
func (r *routes) take(id string) *route {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.open[id]
	delete(r.open, id)
	if q != nil {
		q.timer.Stop()
	}
	return q
}

// routeAsked starts the budget of a routing question. What comes into our
// application with other arguments is sent on at once.
func (p *PBX) routeAsked(ctx context.Context, e bridge.Event) {
	id := e.Leg.ID
	if len(e.Args) == 0 || e.Args[0] != p.cfg.RouteArg {
		go p.letGo(ctx, id)
		return
	}
	q := &route{asked: time.Now()}
	ready := make(chan struct{})
	q.timer = time.AfterFunc(p.cfg.RouteBudget, func() {
		<-ready // the question is in the list
		if p.routes.take(id) == nil {
			return
		}
		p.letGo(ctx, id)
		p.routed(RouteTimeout, q)
	})
	p.routes.add(id, q)
	close(ready)
}

// routeEnded forgets a question that the PBX settled without us.
func (p *PBX) routeEnded(id string) {
	if q := p.routes.take(id); q != nil {
		p.routed(RouteLate, q)
	}
}

func (p *PBX) routed(r RouteResult, q *route) {
	if p.hook.Route == nil {
		return
	}
	took := time.Duration(0)
	if q != nil {
		took = time.Since(q.asked)
	}
	p.hook.Route(r, took)
}

// safeTarget keeps an answer from being more than a target for Dial.
var safeTarget = regexp.MustCompile(`^[0-9A-Za-z_*#+.-]{1,40}$`)

// AnswerRoute sends the call on: with CB_ROUTE set to the extension, or
// without for the default scenario. The channel is continued in any case. A
// call that has already gone on or ended gives pbx.ErrTooLate.
func (p *PBX) AnswerRoute(ctx context.Context, channelID, extension string) error {
	q := p.routes.take(channelID)
	var setErr error
	if extension != "" {
		setErr = p.setRoute(ctx, channelID, extension)
	}
	// The caller's own deadline may be over; the call must go on all the same.
	err := errors.Join(setErr, p.goOn(context.WithoutCancel(ctx), channelID))
	switch {
	case err == nil && extension != "":
		p.routed(RouteAnswered, q)
	case err == nil:
		p.routed(RouteDefault, q)
	case errors.Is(err, pbx.ErrTooLate):
		p.routed(RouteLate, q)
		return pbx.ErrTooLate
	default:
		p.routed(RouteFailed, q)
	}
	return err
}

func (p *PBX) setRoute(ctx context.Context, channelID, extension string) error {
	if !safeTarget.MatchString(extension) {
		return fault.New(fault.Invalid, "ari: route", "%q is no extension", extension)
	}
	return tooLate(p.do(ctx, request{op: "set variable", method: http.MethodPost,
		path: "/channels/" + url.PathEscape(channelID) + "/variable", query: url.Values{"variable": {"CB_ROUTE"}, "value": {extension}}}))
}

// goOn sends a channel back into the dialplan.
func (p *PBX) goOn(ctx context.Context, channelID string) error {
	return tooLate(p.do(ctx, request{op: "continue", method: http.MethodPost, path: "/channels/" + url.PathEscape(channelID) + "/continue"}))
}

// letGo is goOn where nobody waits for the result. It is done even while we
// stop; do bounds its time.
func (p *PBX) letGo(ctx context.Context, channelID string) {
	if err := p.goOn(context.WithoutCancel(ctx), channelID); err != nil && !errors.Is(err, pbx.ErrTooLate) {
		p.log.Warn("a waiting call could not be sent on; the dialplan's own time limit must do it", "err", err)
	}
}

// tooLate turns "not in Stasis" and "no such channel", both normal, into one word.
func tooLate(err error) error {
	if s := statusOf(err); s == http.StatusConflict || s == http.StatusNotFound {
		return pbx.ErrTooLate
	}
	return err
}

// releaseRoutes lets all waiting calls go when we stop.
func (p *PBX) releaseRoutes() {
	p.routes.mu.Lock()
	var ids []string
	for id, q := range p.routes.open {
		q.timer.Stop()
		ids = append(ids, id)
	}
	p.routes.open = nil
	p.routes.mu.Unlock()
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() { p.letGo(context.Background(), id) })
	}
	wg.Wait()
}
