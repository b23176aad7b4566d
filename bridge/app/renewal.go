package app

import (
	"context"
	"fmt"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/rules"
	"callbridge/crm"
	"callbridge/store"
)

// renewEvery is how often links that are about to run out are looked for.
const renewEvery = 24 * time.Hour

// renewals gives CRMs new links to recordings before those they have run out,
// while the call is kept (F-14).
func (r *recorder) renewals(ctx context.Context) {
	for ctx.Err() == nil {
		if n, err := r.renew(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.a.log.Warn("links to recordings could not be renewed; it is tried again tomorrow", "err", err)
		} else if n > 0 {
			r.a.log.Info("links to recordings are renewed", "deliveries", n)
		}
		select {
		case <-ctx.Done():
		case <-time.After(renewEvery):
		}
	}
}

// renew plans new links for all calls whose last one ends soon. They go out
// behind everything fresh.
func (r *recorder) renew(ctx context.Context, now time.Time) (n int, err error) {
	if r.a.cfg.PublicURL == "" {
		return 0, nil
	}
	after := ""
	for {
		ids, err := r.a.db.CallsWithRecordings(ctx, now.Add(linkRenewal-recordingLife), after, 200)
		if err != nil || len(ids) == 0 {
			return n, err
		}
		for _, id := range ids {
			more, err := r.renewCall(ctx, id, now)
			if n += more; err != nil {
				return n, err
			}
		}
		after = ids[len(ids)-1]
	}
}

func (r *recorder) renewCall(ctx context.Context, id string, now time.Time) (n int, err error) {
	call, err := r.a.db.Call(ctx, id)
	if err != nil {
		return 0, err
	}
	period := int(linkUntil(call.EndedAt.Time, now).Sub(call.EndedAt.Time) / recordingLife)
	if period < 2 {
		return 0, nil // its first link is good for long
	}
	rows, err := r.a.db.Deliveries(ctx, store.DeliveryFilter{CallID: id})
	if err != nil {
		return 0, err
	}
	have := map[string]bool{}
	for _, row := range rows {
		have[row.Integration+" "+row.Action.Key] = true
	}
	var b store.Batch
	p, at := r.a.plan.Load(), bridge.At(now)
	for _, in := range p.integrations {
		t := r.a.targetOf(in.settings.ID)
		if t == nil {
			continue
		}
		if _, ok := t.client.(crm.RecordAttacher); !ok {
			continue
		}
		for _, row := range rows {
			if row.Integration != in.settings.ID || row.Action.Kind != bridge.ActCall || row.State != bridge.Done {
				continue
			}
			a := rules.RenewRecording(row.Action, fmt.Sprint(period), p.version)
			if have[row.Integration+" "+a.Key] {
				continue
			}
			d := bridge.Delivery{Integration: row.Integration, CallID: id, Client: row.Client, Action: a, RuleVersion: p.version,
				State: bridge.Waiting, CreatedAt: at, NextAt: at, Backlog: true}
			if !in.active {
				d.State, d.Note = bridge.Held, in.off
			}
			b.Deliveries = append(b.Deliveries, d)
			b.Plans = append(b.Plans, store.Plan{CallID: id, Integration: row.Integration, Trigger: bridge.OnRecording,
				RuleVersion: p.version, Keys: []string{a.Key}, Day: now.In(in.zone).Format(time.DateOnly)})
		}
	}
	if len(b.Deliveries) == 0 {
		return 0, nil
	}
	return len(b.Deliveries), r.a.db.Commit(ctx, b)
}
