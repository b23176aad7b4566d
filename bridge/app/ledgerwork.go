package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/rules"
	"callbridge/bridge/web"
	"callbridge/store"
)

// manyAtOnce is from how many on deliveries that are tried again go behind
// fresh ones, as a resend does.
const manyAtOnce = 20

// Retry sets parked deliveries waiting again: those named, or all a filter
// chooses. Nothing that is done or on its way is touched.
func (s Switchboard) Retry(ctx context.Context, f store.DeliveryFilter) (int64, error) {
	ids := f.IDs
	if len(ids) == 0 {
		f.Newest, f.Limit, f.After = false, 10000, 0
		for {
			rows, err := s.DB.Deliveries(ctx, f)
			if err != nil {
				return 0, err
			}
			for _, d := range rows {
				if d.State == bridge.Refused || d.State == bridge.Expired {
					ids = append(ids, d.ID)
				}
			}
			if len(rows) < f.Limit {
				break
			}
			f.After = rows[len(rows)-1].ID
		}
	}
	if len(ids) >= manyAtOnce {
		return s.DB.Resend(ctx, ids)
	}
	return s.DB.Retry(ctx, ids)
}

// Repair corrects a parked action and tries it again.
func (s Switchboard) Repair(ctx context.Context, by string, id int64, r bridge.Repair) (bridge.Delivery, error) {
	rows, err := s.DB.Deliveries(ctx, store.DeliveryFilter{IDs: []int64{id}})
	if err != nil {
		return bridge.Delivery{}, err
	}
	if len(rows) == 0 {
		return bridge.Delivery{}, web.ErrNotFound
	}
	d := rows[0]
	if err := checkRepair(r); err != nil {
		return d, err
	}
	a, what := r.Apply(d.Action)
	if len(what) == 0 {
		return d, &web.Refused{Code: "nothing_corrected"}
	}
	a.Reason += "; " + bridge.RepairNote(by, what)
	done, err := s.DB.RepairDelivery(ctx, id, a)
	if err != nil {
		return d, err
	}
	if !done {
		return d, &web.Refused{Code: "not_parked", Text: string(d.State)}
	}
	rows, err = s.DB.Deliveries(ctx, store.DeliveryFilter{IDs: []int64{id}})
	if err != nil || len(rows) == 0 {
		return d, err
	}
	return rows[0], nil
}

// checkRepair refuses what could never be carried out.
func checkRepair(r bridge.Repair) error {
	bad := func(field string, err error) error {
		return &web.Refused{Code: "bad_correction", Text: fmt.Sprintf("%s: %v", field, err)}
	}
	if w := r.Responsible; w != nil && *w != "" && !strings.Contains(*w, "@") && !slices.Contains(rules.ResponsibleWords(), *w) {
		return bad("responsible", fmt.Errorf("%q is neither an e-mail nor one of %s", *w, strings.Join(rules.ResponsibleWords(), ", ")))
	}
	for name, t := range map[string]*string{"title": r.Title, "text": r.Text} {
		if t != nil {
			if err := rules.Check(*t); err != nil {
				return bad(name, err)
			}
		}
	}
	for name, t := range r.Fields {
		if err := rules.Check(t); err != nil {
			return bad("field "+name, err)
		}
	}
	if r.Due != nil && *r.Due < 0 {
		return bad("due", fmt.Errorf("lies in the past"))
	}
	return nil
}

// ledgerClerk is the ledger's repair as the pages see it; the workers are woken.
type ledgerClerk struct{ a *App }

func (l ledgerClerk) board() Switchboard { return switcher(l).board() }

func (l ledgerClerk) wake() {
	ids := map[string]bool{}
	for _, t := range l.a.targets() {
		ids[t.settings.ID] = true
	}
	l.a.wakeTargets(ids)
}

func (l ledgerClerk) Retry(ctx context.Context, q web.DeliveryQuery) (int64, error) {
	n, err := l.board().Retry(ctx, filterOf(q))
	l.wake()
	return n, err
}

func (l ledgerClerk) Skip(ctx context.Context, ids []int64, note string) (int64, error) {
	return l.a.db.SkipDeliveries(ctx, ids, note)
}

func (l ledgerClerk) Repair(ctx context.Context, by string, id int64, r bridge.Repair) (bridge.Delivery, error) {
	d, err := l.board().Repair(ctx, by, id, r)
	l.wake()
	return d, err
}

func filterOf(q web.DeliveryQuery) store.DeliveryFilter {
	return store.DeliveryFilter{CallID: q.CallID, Integration: q.Integration, State: q.State, Kind: q.Kind, Day: q.Day, IDs: q.IDs,
		Limit: q.Limit, After: q.Before, Newest: q.CallID == ""}
}
