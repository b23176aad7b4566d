package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"callbridge/bridge"
	"callbridge/bridge/deliver"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/bridge/staff"
	"callbridge/crm"
	"callbridge/store"
)

// target is one integration at work: the opened CRM, its employees, and the
// worker that delivers to it while it is active.
type target struct {
	settings bridge.Integration
	print    string // what it was opened with; a difference means: open anew
	driver   crm.Driver
	client   crm.Client
	book     *deliver.Book
	zone     *time.Location
	staff    atomic.Pointer[staff.Map]
	staffAt  atomic.Int64                 // ms of the last good list
	links    atomic.Pointer[[]staff.Link] // as stored at the last sync
	syncing  sync.Mutex
	shrunken atomic.Bool // the CRM's last list was not believed (D-07)
	held     atomic.Bool // credentials were refused since the worker began
	trouble  atomic.Pointer[string]
	worker   *deliver.Worker
	active   bool // its worker runs
	accepted bool // the CRM has not refused the credentials, as the store knew when it was opened
	stop     context.CancelFunc
	done     sync.WaitGroup
	module   atomic.Pointer[moduleState]
	calls    *rate.Limiter // of the CRM to us
	byHand   bool          // switched off by an admin
	board    *statusBoard
	health   health
	clickMu  sync.Mutex
	clicks   map[string]time.Time
}

// ByExtension, ByEmail and ByUser make target a deliver.People that always
// answers from the newest list.
func (t *target) ByExtension(e string) (crm.Employee, bool) { return t.staff.Load().ByExtension(e) }
func (t *target) ByEmail(e string) (crm.Employee, bool)     { return t.staff.Load().ByEmail(e) }
func (t *target) ByUser(id crm.UserID) (crm.Employee, bool) { return t.staff.Load().ByUser(id) }

func (t *target) say(err error) {
	var s string
	if err != nil {
		s = err.Error()
	}
	t.trouble.Store(&s)
}

func (t *target) saying() string {
	if s := t.trouble.Load(); s != nil {
		return *s
	}
	return ""
}

// fingerprint says what an integration was opened with.
func fingerprint(in bridge.Integration, employees []bridge.Employee, st store.IntegrationState) string {
	b, err := json.Marshal(struct {
		In   bridge.Integration
		Cred map[string]string
		Emp  []bridge.Employee
		On   bool
	}{in, in.Credentials, employees, st.Active})
	if err != nil {
		return "" // never equal: opened anew each time
	}
	return string(b)
}

// openTarget opens the CRM of an integration. It does no network I/O.
func (a *App) openTarget(ctx context.Context, in bridge.Integration, employees []bridge.Employee, st store.IntegrationState) (*target, error) {
	d, ok := a.drivers[in.Kind]
	if !ok {
		return nil, fmt.Errorf("integration %s: kind %q is not known", in.ID, in.Kind)
	}
	zone := a.zone
	if in.TimeZone != "" {
		z, err := time.LoadLocation(in.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("integration %s: time_zone: %w", in.ID, err)
		}
		zone = z
	}
	t := &target{settings: in, accepted: st.Active || st.HeldReason == store.HeldByHand, print: fingerprint(in, employees, st), driver: d, zone: zone, stop: func() {},
		calls: rate.NewLimiter(10, 50), board: newStatusBoard(), byHand: !st.Active && st.HeldReason == store.HeldByHand}
	env := crm.Env{Integration: in.ID, HTTP: &http.Client{Transport: a.opts.Transport, Timeout: 30 * time.Second},
		Log: a.log.With("integration", in.ID), Zone: zone, Country: a.cfg.Country, PublicURL: a.cfg.PublicURL,
		Accounts: a.accounts.of, Now: time.Now,
		Observe: func(op string, code int, _ time.Duration) {
			a.metrics.request(in.ID, op, code)
			t.health.saw(code, time.Now())
		},
		Follow: a.followRequests(in.ID),
	}
	client, err := d.Open(env, setting.Values(in.Credentials))
	if err != nil {
		return nil, fmt.Errorf("integration %s: %w", in.ID, err)
	}
	t.client = client
	t.book = deliver.NewBook(in.ID, client, index{a.db}, time.Now)
	list, at, err := (people{a.db}).LoadStaff(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	links, err := (people{a.db}).links(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	t.links.Store(&links)
	t.setStaff(list, employees, at)
	return t, nil
}

// wishes are what the settings say about the employees of t.
func (t *target) wishes() staff.Wishes {
	w := staff.Wishes{ByHand: t.settings.Staff, Default: t.settings.DefaultResponsible}
	if g, ok := t.client.(crm.Grouped); ok {
		w.Group = g.Group()
	}
	return w
}

func (t *target) setStaff(list []crm.Employee, employees []bridge.Employee, at time.Time) {
	t.staff.Store(staff.NewMap(list, employees, t.joined(), t.wishes()))
	t.staffAt.Store(bridge.At(at).Milli())
}

// start runs the worker of an active integration.
func (a *App) startTarget(t *target) {
	id := t.settings.ID
	a.metrics.openIntegration(id)
	if !t.active {
		if t.byHand { // and its module is off in the CRM, whoever told it before
			a.housework.Go(func() { a.switchOff(t) })
		}
		return
	}
	ctx, stop := context.WithCancel(a.work)
	t.stop = stop
	t.done.Go(func() { t.worker.Run(ctx) })
	t.done.Go(func() { a.syncStaff(ctx, t) })
	t.done.Go(func() { a.showStatuses(ctx, t) })
	t.done.Go(func() { a.askStatuses(ctx, t) })
	t.done.Go(func() { a.watchRights(ctx, t) })
}

// watched counts, and notes at once that an integration is held; that its
// worker is stopped follows when its state is read.
type watched struct {
	*metrics
	t *target
}

// Held is told why: "auth" for the whole integration, else a kind of action.
func (w watched) Held(_, reason string) {
	if reason == "auth" {
		w.t.held.Store(true)
	}
}

func (t *target) close() {
	t.stop()
	t.done.Wait()
}

// syncStaff reads the CRM's employees now and every two hours (M-2.2.5). After
// a failure it tries again sooner.
func (a *App) syncStaff(ctx context.Context, t *target) {
	wait := time.Second
	for !t.dead() {
		err := a.syncOnce(ctx, t)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait = staff.Every
			a.install(ctx, t, true)
		default:
			a.log.Warn("employees could not be synchronised; the old list stays in force", "integration", t.settings.ID, "kind", fault.KindOf(err).String(), "err", err)
			wait = min(max(wait*2, 15*time.Second), 15*time.Minute)
			if wait >= staff.Every {
				wait = 15 * time.Second
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// checkTarget runs the adapter's check and keeps its report.
func (a *App) checkTarget(ctx context.Context, t *target) (crm.Report, error) {
	cctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rep, err := t.client.Check(cctx)
	if b, jerr := json.Marshal(rep); jerr == nil && err == nil {
		if serr := a.db.SaveCheck(ctx, t.settings.ID, time.Now(), string(b)); serr != nil {
			a.log.Warn("the report of a check could not be stored", "integration", t.settings.ID, "err", serr)
		}
		if serr := a.giveBack(ctx, t, rep); serr != nil {
			a.log.Warn("what was held for want of a right could not be released", "integration", t.settings.ID, "err", serr)
		}
	}
	return rep, err
}

// Integrations returns the settings of all integrations, in their order.
func (a *App) Integrations() []bridge.Integration { return a.plan.Load().settings.Integrations }

// Check runs the adapter's check of one integration and keeps its report.
func (a *App) Check(ctx context.Context, id string) (crm.Report, error) {
	t, err := a.open(id)
	if err != nil {
		return crm.Report{}, err
	}
	return a.checkTarget(ctx, t)
}
