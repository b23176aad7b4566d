package store

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
)

// Ledger returns the equation of F-1 for the days fromDay…toDay (both
// included, "" = no bound), newest day first. Both sides are counted in one
// statement, so a Commit beside it cannot show as an imbalance.
func (db *DB) Ledger(ctx context.Context, fromDay, toDay string) ([]LedgerRow, error) {
	if toDay == "" {
		toDay = "9999"
	}
	var rows []struct {
		Integration string `db:"integration"`
		Day         string `db:"day"`
		State       string `db:"state"`
		N           int64  `db:"n"`
	}
	err := db.read(ctx, "ledger", &rows, `SELECT integration, day, '' AS state, CAST(SUM(n) AS BIGINT) AS n FROM plans
		WHERE day >= ? AND day <= ? GROUP BY day, integration
		UNION ALL SELECT integration, day, state, COUNT(*) AS n FROM deliveries
		WHERE day >= ? AND day <= ? GROUP BY day, integration, state`, fromDay, toDay, fromDay, toDay)
	if err != nil {
		return nil, err
	}
	type key struct{ day, integration string }
	at := map[key]*LedgerRow{}
	for _, r := range rows {
		k := key{r.Day, r.Integration}
		l := at[k]
		if l == nil {
			l = &LedgerRow{Integration: r.Integration, Day: r.Day, ByState: map[bridge.DeliveryState]int64{}}
			at[k] = l
		}
		if r.State == "" {
			l.Planned += r.N
			l.Imbalance += r.N
		} else {
			l.ByState[bridge.DeliveryState(r.State)] += r.N
			l.Imbalance -= r.N
		}
	}
	out := make([]LedgerRow, 0, len(at))
	for _, l := range at {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b LedgerRow) int {
		return cmp.Or(cmp.Compare(b.Day, a.Day), cmp.Compare(a.Integration, b.Integration))
	})
	return out, nil
}

// past remembers counts of days that are over. They hardly change, and
// counting them again for every scrape of the metrics would.
type past struct {
	mu        sync.Mutex
	at        time.Time
	before    string
	imbalance int64
	counts    []DeliveryCount
}

// pastFor is how long counts of past days are believed.
const pastFor = 10 * time.Minute

// recent is the day from which counts are always fresh: the day before
// yesterday, whatever the time zones.
func recent(now time.Time) string { return now.UTC().AddDate(0, 0, -2).Format(time.DateOnly) }

// LedgerImbalance returns the sum of all absolute imbalances; it must be 0.
// The last days are counted each time, older ones every ten minutes.
func (db *DB) LedgerImbalance(ctx context.Context) (int64, error) {
	p, err := db.pastCounts(ctx)
	if err != nil {
		return 0, err
	}
	rows, err := db.Ledger(ctx, p.before, "")
	return p.imbalance + sumOf(rows), err
}

func sumOf(rows []LedgerRow) int64 {
	var n int64
	for _, r := range rows {
		n += max(r.Imbalance, -r.Imbalance)
	}
	return n
}

func (db *DB) pastCounts(ctx context.Context) (*past, error) {
	p := &db.past
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.before == recent(now) && now.Sub(p.at) < pastFor {
		return &past{before: p.before, imbalance: p.imbalance, counts: p.counts}, nil
	}
	before := recent(now)
	rows, err := db.Ledger(ctx, "", before)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r LedgerRow) bool { return r.Day >= before })
	counts := map[DeliveryCount]int64{}
	for _, r := range rows {
		for s, n := range r.ByState {
			counts[DeliveryCount{Integration: r.Integration, State: s}] += n
		}
	}
	p.at, p.before, p.imbalance, p.counts = now, before, sumOf(rows), nil
	for c, n := range counts {
		p.counts = append(p.counts, DeliveryCount{c.Integration, c.State, n})
	}
	return &past{before: p.before, imbalance: p.imbalance, counts: p.counts}, nil
}

// DeliveryCounts returns how many deliveries each integration has in each
// state. Done and skipped ones of past days may be ten minutes old, all others
// are of now.
func (db *DB) DeliveryCounts(ctx context.Context) ([]DeliveryCount, error) {
	p, err := db.pastCounts(ctx)
	if err != nil {
		return nil, err
	}
	var rows []DeliveryCount
	err = db.read(ctx, "delivery counts", &rows, `SELECT integration, state, COUNT(*) AS n FROM deliveries WHERE `+openStates+` GROUP BY integration, state
		UNION ALL SELECT integration, state, COUNT(*) AS n FROM deliveries WHERE state IN ('held', 'failed', 'expired') GROUP BY integration, state
		UNION ALL SELECT integration, state, COUNT(*) AS n FROM deliveries WHERE state IN ('done', 'skipped') AND day >= ? GROUP BY integration, state`, p.before)
	if err != nil {
		return nil, err
	}
	sum := map[DeliveryCount]int64{}
	for _, r := range rows {
		sum[DeliveryCount{Integration: r.Integration, State: r.State}] += r.Count
	}
	for _, c := range p.counts {
		if c.State == bridge.Done || c.State == bridge.Skipped {
			sum[DeliveryCount{Integration: c.Integration, State: c.State}] += c.Count
		}
	}
	out := make([]DeliveryCount, 0, len(sum))
	for c, n := range sum {
		out = append(out, DeliveryCount{c.Integration, c.State, n})
	}
	slices.SortFunc(out, func(a, b DeliveryCount) int {
		return cmp.Or(cmp.Compare(a.Integration, b.Integration), cmp.Compare(a.State, b.State))
	})
	return out, nil
}

// OldestWaiting returns when the oldest waiting or tried delivery of each
// integration was made; integrations without one are missing.
func (db *DB) OldestWaiting(ctx context.Context) (map[string]time.Time, error) {
	var rows []struct {
		Integration string `db:"integration"`
		At          int64  `db:"at"`
	}
	err := db.read(ctx, "oldest waiting", &rows, `SELECT integration, MIN(created_at) AS at FROM deliveries WHERE `+openStates+` GROUP BY integration`)
	out := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		out[r.Integration] = fromMilli(r.At)
	}
	return out, err
}
