package load

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	adminLogin = "load-admin"
	// freshRate is how many calls a second come while a backlog is resent.
	freshRate = 5
)

// resend activates the CRMs that were off until now with the box "send data to
// the CRM after reactivation", has fresh calls come meanwhile, and measures
// until nothing is open.
func (r *run) resend(ctx context.Context, rep *Report) error {
	m, err := r.scrape(ctx)
	if err != nil {
		return err
	}
	rep.Held = int(m["held"])
	before, cards := r.requested(), len(r.agents.times())
	began := time.Now()
	for _, id := range r.o.CRMs {
		if err := r.activate(ctx, id); err != nil {
			return err
		}
	}
	fresh := make(chan error, 1)
	go func() {
		_, err := r.sim.Load(ctx, r.traffic(freshRate, freshCalls(rep, r.o.CRMRate)))
		fresh <- err
	}()
	r.drain(ctx, rep, began, began)
	if err := <-fresh; err != nil {
		return err
	}
	r.drain(ctx, rep, began, began) // what the last fresh calls led to
	rep.ResendS = rep.DrainS
	if r.o.CRMRate > 0 {
		rep.LimitS = float64(r.requested()-before) / r.o.CRMRate / float64(max(len(r.o.CRMs), 1))
	}
	took := r.agents.times()[cards:]
	slices.Sort(took)
	rep.FreshP99MS = quantile(took, .99)
	return nil
}

// freshCalls fill most of the time that the CRM's limit dictates.
func freshCalls(rep *Report, limit float64) int {
	if limit <= 0 {
		return 10 * freshRate
	}
	return min(max(int(float64(rep.Held)/limit*freshRate/2), 5*freshRate), 120*freshRate)
}

// requested is how many requests all CRMs have got.
func (r *run) requested() int64 {
	var n int64
	for _, c := range r.crms {
		n += c.requests.Load()
	}
	return n
}

func (r *run) activate(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/api/v1/integrations/"+id+"/activate", strings.NewReader(`{"resend":true}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.admin)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s could not be activated: %s", id, res.Status)
	}
	return nil
}
