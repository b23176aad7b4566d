package app

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/pbx"
	"callbridge/pbx/ari"
	"callbridge/store"
)

// phoneSystem is one PBX of the configuration at work.
type phoneSystem struct {
	id, kind    string
	stream      pbx.Stream
	status      func() linkStatus
	routeSecret string
	log         callLog                          // nil: none
	channel     func(name string) bridge.Channel // what a channel's name means
	repairing   sync.Mutex
}

// linkStatus is how a link is, whatever the kind of PBX.
type linkStatus struct {
	connected bool
	since     time.Time
	lastEvent time.Time
	problem   string
}

// openPBXs makes the adapters of the configuration. There is no network here.
func (a *App) openPBXs(ctx context.Context) error {
	for i, c := range a.cfg.PBX {
		if c.Kind != "asterisk" {
			return fmt.Errorf("pbx[%d].kind: %q is not supported", i, c.Kind)
		}
		p, err := a.openAsterisk(ctx, c)
		if err != nil {
			return fmt.Errorf("pbx[%d] (%s): %w", i, c.ID, err)
		}
		a.pbxs = append(a.pbxs, p)
		a.metrics.openPBX(c.ID)
	}
	return nil
}

// asterisk is what the adapter is told of the configuration.
func asterisk(c config.PBX) (ari.Config, error) {
	ac := ari.Config{ID: c.ID, URL: c.URL, Username: c.Username, Password: c.Password.Reveal(), App: c.App, Trunks: c.Trunks,
		Names: c.Names, Tech: c.Tech, ClickContext: c.ClickContext, OutboundCallerID: c.OutboundCallerID,
		RingFor: time.Duration(c.RingFor), RouteArg: c.RouteArgument, RouteBudget: time.Duration(c.RouteBudget),
		RecordingDir: c.Recordings.Dir, KeepVarsets: c.KeepVarsets}
	if c.Phones != "" {
		re, err := regexp.Compile(c.Phones)
		if err != nil {
			return ac, fmt.Errorf("phones: %w", err)
		}
		ac.Phones = re
	}
	return ac, nil
}

func (a *App) openAsterisk(ctx context.Context, c config.PBX) (*phoneSystem, error) {
	last, err := a.db.LastEventAt(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	ac, err := asterisk(c)
	if err != nil {
		return nil, err
	}
	ac.LastSeen = bridge.At(last)
	m := a.metrics
	p, err := ari.New(ac, ari.Deps{Log: a.log, Hooks: ari.Hooks{
		Malformed: m.malformed.WithLabelValues(c.ID).Inc,
		Overflow:  m.overflows.WithLabelValues(c.ID).Inc,
		ReaderGap: func(d time.Duration) { m.readerGap.Observe(d.Seconds()) },
		Connected: func(again bool) {
			if again {
				m.reconnects.WithLabelValues(c.ID).Inc()
			}
		},
	}})
	if err != nil {
		return nil, err
	}
	log, err := a.openCallLog(c)
	if err != nil {
		return nil, err
	}
	return &phoneSystem{id: c.ID, kind: c.Kind, stream: p, routeSecret: c.RouteSecret.Reveal(), log: log, channel: asteriskChannel(ac), status: func() linkStatus {
		s := p.Status()
		return linkStatus{connected: s.Connected, since: s.Since, lastEvent: s.LastEvent, problem: s.Problem}
	}}, nil
}

func (a *App) pbx(id string) *phoneSystem {
	for _, p := range a.pbxs {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (a *App) pbxNow() []pbxNow {
	out := make([]pbxNow, 0, len(a.pbxs))
	for _, p := range a.pbxs {
		s := p.status()
		out = append(out, pbxNow{id: p.id, connected: s.connected, age: time.Since(a.orBegan(s.lastEvent))})
	}
	return out
}

// ledgerShare is how much of the time counting for the gauges may take at most:
// one part in so many. Rows of the last days are counted each time, and a busy
// day has a million of them.
const ledgerShare = 50

// ledgerCache is the last count, and what it cost.
type ledgerCache struct {
	mu   sync.Mutex
	at   time.Time
	took time.Duration
	now  ledgerNow
}

// get returns the last count as long as a new one would cost too much.
func (c *ledgerCache) get(ctx context.Context, count func(context.Context) (ledgerNow, error)) (ledgerNow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if !c.at.IsZero() && began.Sub(c.at) < ledgerShare*c.took {
		return c.now, nil
	}
	now, err := count(ctx)
	if err == nil {
		c.at, c.took, c.now = time.Now(), time.Since(began), now
	}
	return now, err
}

// ledgerNow is what the gauges show.
func (a *App) ledgerNow(ctx context.Context) (ledgerNow, error) {
	return a.ledgers.get(ctx, a.countLedger)
}

// countLedger reads it.
func (a *App) countLedger(ctx context.Context) (ledgerNow, error) {
	now := ledgerNow{counts: map[string]map[bridge.DeliveryState]int64{}, oldest: map[string]time.Duration{}}
	for _, in := range a.plan.Load().settings.Integrations {
		now.counts[in.ID] = map[bridge.DeliveryState]int64{} // exists at zero
	}
	counts, err := a.db.DeliveryCounts(ctx)
	if err != nil {
		return now, err
	}
	for _, c := range counts {
		if now.counts[c.Integration] == nil {
			now.counts[c.Integration] = map[bridge.DeliveryState]int64{}
		}
		now.counts[c.Integration][c.State] = c.Count
	}
	oldest, err := a.db.OldestWaiting(ctx)
	if err != nil {
		return now, err
	}
	for id, at := range oldest {
		now.oldest[id] = time.Since(at)
	}
	if now.imbalance, err = a.db.LedgerImbalance(ctx); err != nil {
		return now, err
	}
	now.today, err = a.ledgerToday(ctx)
	return now, err
}

// ledgerToday is the ledger of each integration's present day, in its zone.
func (a *App) ledgerToday(ctx context.Context) ([]store.LedgerRow, error) {
	t := time.Now()
	rows, err := a.db.Ledger(ctx, t.UTC().AddDate(0, 0, -1).Format(time.DateOnly), "")
	if err != nil {
		return nil, err
	}
	var out []store.LedgerRow
	for _, in := range a.plan.Load().integrations {
		today := store.LedgerRow{Integration: in.settings.ID, Day: t.In(in.zone).Format(time.DateOnly)}
		for _, r := range rows {
			if r.Integration == today.Integration && r.Day == today.Day {
				today = r
			}
		}
		out = append(out, today)
	}
	return out, nil
}

// linked tells a PBX, after each connect, what it may have forgotten: the
// do-not-disturb switches. It never blocks the core.
func (a *App) linked(pbxID string) {
	p := a.pbx(pbxID)
	if p == nil {
		return
	}
	pr, ok := p.stream.(pbx.Presence)
	if !ok {
		return
	}
	a.lookupWork.Go(func() {
		ctx, cancel := context.WithTimeout(a.work, 10*time.Second)
		defer cancel()
		all, err := a.db.DoNotDisturb(ctx)
		if err != nil {
			a.log.Warn("do-not-disturb could not be read", "err", err)
			return
		}
		for ext, d := range all {
			if err := pr.SetDoNotDisturb(ctx, ext, d.On); err != nil {
				a.log.Warn("the PBX could not be told of do-not-disturb", "pbx", pbxID, "err", err)
				return
			}
		}
	})
}
