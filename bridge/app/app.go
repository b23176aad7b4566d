// Package app puts the parts together: it opens the store, connects PBXs and
// CRMs, starts the call path, the deliveries and the web server, and stops it
// all in reverse. Tests start the whole program through it.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/config"
	"callbridge/bridge/phone"
	"callbridge/bridge/route"
	"callbridge/bridge/trace"
	"callbridge/bridge/track"
	"callbridge/bridge/web"
	"callbridge/crm"
	"callbridge/store"
)

// Options are everything the program needs from the outside.
type Options struct {
	Config *config.Config
	Key    []byte // 32 bytes: encrypts secrets at rest and signs sessions
	// OldKeys were in use before: links signed with them go on working.
	OldKeys [][]byte
	Log     *slog.Logger
	// Level is that of Log; Reload changes it. nil: it stays as it is.
	Level   *slog.LevelVar
	Version string
	Drivers []crm.Driver // nil: all of them
	// Trace follows each call through all stages; nil: nobody does. Who made it
	// stops it, after the App.
	Trace *trace.Tracer
	// Transport carries requests to CRMs; nil: the default one.
	Transport http.RoundTripper
	// Parallel is how many clients are served side by side per integration; 0: 32.
	Parallel int
	// Listener serves the pages; nil: Config.Listen is opened.
	Listener net.Listener
	// Demo is shown on the sign-in page.
	Demo string
}

// App is the running program.
type App struct {
	opts    Options
	cfg     *config.Config
	log     *slog.Logger
	zone    *time.Location
	began   time.Time
	drivers map[string]crm.Driver

	db       *store.DB
	reg      *prometheus.Registry
	accounts *accounts
	metrics  *metrics
	hub      *card.Hub
	phones   *phones
	core     *core
	writer   *writer
	ledgers  ledgerCache
	lookups  *lookups
	returns  *returns
	recorder *recorder
	router   *route.Router
	phone    onPhone
	pbxs     []*phoneSystem

	live  atomic.Pointer[config.Config] // what a reload may change: see Reload
	rings chan store.Ring

	plan     atomic.Pointer[inForce]
	targetMu sync.RWMutex
	byID     map[string]*target
	order    []string
	broken   map[string]error // integrations that could not be opened
	started  bool             // workers run

	clickMu sync.Mutex
	clicked map[string]time.Time // when a phone was last ordered to ring

	listener net.Listener
	server   *http.Server

	work       context.Context // ends when the program stops taking work
	stopWork   context.CancelFunc
	links      context.Context // ends first: PBXs
	stopLinks  context.CancelFunc
	linkWork   sync.WaitGroup
	repairs    sync.WaitGroup // of gaps, from the PBXs' call logs
	coreWork   sync.WaitGroup
	stopCore   context.CancelFunc
	writerWork sync.WaitGroup
	stopWriter context.CancelFunc
	lookupWork sync.WaitGroup
	dndMu      sync.Mutex // orders what the PBX tells of do-not-disturb in the store
	housework  sync.WaitGroup
	stopOnce   sync.Once
}

// inForce is one version of the settings, prepared for reading.
type inForce struct {
	plan
	settings  bridge.Settings
	employees []bridge.Employee
	names     map[string]string // extension → name
	moments   map[string]bridge.CardMoment
	lines     map[string]bridge.Line
}

// New opens the store and prepares everything; nothing runs yet.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Parallel == 0 {
		o.Parallel = 32
	}
	if o.Transport == nil {
		// As many kept connections as clients served, lookups besides: Go's
		// default of two a host would dial anew for most requests.
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2 * o.Parallel,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second}
	}
	if o.Drivers == nil {
		o.Drivers = Drivers()
	}
	zone, err := time.LoadLocation(o.Config.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	a := &App{opts: o, cfg: o.Config, began: time.Now(), log: o.Log, zone: zone, drivers: map[string]crm.Driver{},
		reg: prometheus.NewRegistry(), phones: newPhones(), byID: map[string]*target{}, clicked: map[string]time.Time{}, broken: map[string]error{}}
	a.live.Store(o.Config)
	for _, d := range o.Drivers {
		a.drivers[d.Name] = d
	}
	a.work, a.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	a.links, a.stopLinks = context.WithCancel(a.work)
	if a.db, err = store.Open(ctx, o.Config.Database.Reveal(), o.Key, o.Log); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := a.prepare(ctx); err != nil {
		a.stopWork()
		return nil, errors.Join(err, a.db.Close())
	}
	return a, nil
}

func (a *App) prepare(ctx context.Context) error {
	a.accounts = newAccounts(a.db, a.log)
	a.metrics = newMetrics(a.reg)
	cards := newCardMetrics(a.reg)
	a.hub = card.New(card.Options{Log: a.log, Metrics: cards, Origins: a.origins(), Receipt: a.receipt,
		Format: func(n string) string { return phone.Format(bridge.Number(n), "ru") }, Name: a.employee, Moment: a.cardMoment, Nameless: a.nameless})
	a.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callbridge_connected_agents",
		Help: "Browser tabs of agents that are connected."}, func() float64 { return float64(a.hub.Connected()) }),
		newGauges(a.ledgerNow, a.pbxNow, a.integrationsNow))
	a.reg.MustRegister(spanCounters(a.opts.Trace)...)
	a.metrics.build.WithLabelValues(a.opts.Version).Set(1)
	a.writer = newWriter(a.log, a.metrics, a.db.Commit, a.wakeTargets)
	a.writer.trace = a.opts.Trace
	a.lookups, a.returns = newLookups(a), newReturns(a)
	a.recorder = newRecorder(a)
	a.core = &core{trace: a.opts.Trace, delay: a.recorder.delay, log: a.log, hub: a.hub, writer: a.writer, metrics: a.metrics, phones: a.phones,
		tracker: track.New(track.Options{Number: a.number, OwnNumber: a.ownNumber}), plan: func() *plan { return &a.plan.Load().plan },
		asked: a.asked, dnd: a.dndTold, changed: func(ch *track.Change) {
			a.lookups.changed(ch)
			a.returns.changed(ch)
			a.recorder.changed(ch)
			a.talking(ch)
		}, linked: a.linked, wake: make(chan struct{}, 1), live: map[string]bridge.Call{},
		loose: map[string]bridge.Event{}, orphans: map[string][]bridge.Call{}}
	a.rings = make(chan store.Ring, 8192)
	a.core.rang = a.rang
	a.router = a.newRouter()
	if err := a.loadSettings(ctx); err != nil {
		return err
	}
	if err := a.openPBXs(ctx); err != nil {
		return err
	}
	dnd, err := a.db.DoNotDisturb(ctx)
	if err != nil {
		return err
	}
	for ext, d := range dnd {
		a.hub.SetDND(ext, d.On)
	}
	for _, p := range a.pbxs {
		open, err := a.db.OpenCalls(ctx, p.id)
		if err != nil {
			return fmt.Errorf("open calls of %s: %w", p.id, err)
		}
		since := time.Now().Add(-looseFor)
		for _, o := range open {
			if o.Call.StartedAt.Before(since) {
				since = o.Call.StartedAt.Time
			}
		}
		loose, err := a.db.LooseEvents(ctx, p.id, since)
		if err != nil {
			return fmt.Errorf("events of %s: %w", p.id, err)
		}
		a.core.restore(p.id, open, loose, time.Now())
		for _, c := range a.core.liveCalls() {
			a.phone.changed(&c)
		}
		if len(open) > 0 {
			a.log.Info("going on with calls that lived when the program stopped", "pbx", p.id, "calls", len(open))
		}
	}
	return nil
}

// Start listens, connects and works. It returns as soon as the pages can be
// opened; PBXs and CRMs are connected in the background (D-16).
func (a *App) Start() error {
	freed, err := a.db.Own(a.work)
	if err != nil {
		return err
	}
	if freed > 0 {
		a.log.Info("deliveries that were under way when the program ended are looked up now", "deliveries", freed)
	}
	if err := a.resume(a.work); err != nil {
		return err
	}
	l := a.opts.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	a.listener = l
	a.server = webServer(impatient(a.numbered(a.behindProxy(web.New(a.webDeps())))), slog.NewLogLogger(a.log.Handler(), slog.LevelDebug))

	serve := a.server.Serve
	if a.cfg.TLS.Cert != "" {
		certs := &certificates{files: func() config.TLS { return a.live.Load().TLS }, log: a.log}
		if _, err := certs.get(nil); err != nil {
			return errors.Join(fmt.Errorf("tls: %w", err), l.Close())
		}
		a.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get}
		serve = func(l net.Listener) error { return a.server.ServeTLS(l, "", "") }
	}
	a.startPath()
	a.startTargets()
	for _, p := range a.pbxs {
		a.linkWork.Go(func() { a.listen(p) })
	}
	a.housework.Go(func() { a.watchSettings(a.work) })
	a.housework.Go(func() { a.returns.run(a.work) })
	a.housework.Go(func() { a.recorder.run(a.work) })
	a.housework.Go(func() { a.recorder.renewals(a.work) })
	a.housework.Go(func() { a.retention(a.work) })
	a.housework.Go(func() { a.served(a.work) })
	a.housework.Go(func() { a.keepRings(a.work) })
	a.housework.Go(func() {
		if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the web server stopped", "err", err)
		}
	})
	return nil
}

// startPath runs the call path: core and writer.
func (a *App) startPath() {
	coreCtx, stopCore := context.WithCancel(context.WithoutCancel(a.work))
	writerCtx, stopWriter := context.WithCancel(context.WithoutCancel(a.work))
	a.stopCore, a.stopWriter = stopCore, stopWriter
	a.writerWork.Go(func() { a.writer.run(writerCtx) })
	a.coreWork.Go(func() { a.core.run(coreCtx) })
}

// stopPath lets the core empty its queue and then the writer its batch.
func (a *App) stopPath() {
	if a.stopCore == nil {
		return
	}
	a.stopCore()
	a.coreWork.Wait()
	a.stopWriter()
	a.writerWork.Wait()
}

// Addr is the address the pages are served at.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Ready returns what is missing to take calls; empty means nothing.
func (a *App) Ready(ctx context.Context) []string { return site{a}.missing(ctx) }

// listen follows one PBX until the program stops. Run ends only with its
// context or a fault of the configuration; everything else it repairs itself.
func (a *App) listen(p *phoneSystem) {
	emit := a.repairing(p)
	a.repairs.Go(func() { a.watch(p) })
	for a.links.Err() == nil {
		if err := p.stream.Run(a.links, emit); err != nil && a.links.Err() == nil {
			a.log.Error("the link to the PBX ended; it is opened again", "pbx", p.id, "err", err)
		}
		select {
		case <-a.links.Done():
		case <-time.After(time.Second):
		}
	}
}

// Stop ends everything in reverse order: no new events and requests, then what
// was received is stored, then deliveries under way are written down. It takes
// at most as long as ctx allows.
func (a *App) Stop(ctx context.Context) error {
	var err error
	a.stopOnce.Do(func() { err = a.stop(ctx) })
	return err
}

// storingTime is how long a backlog may be stored when the program stops: all
// the time there is but what the rest needs.
func (a *App) storingTime(ctx context.Context) (context.Context, context.CancelFunc) {
	const most, rest = 15 * time.Second, 4 * time.Second
	end := time.Now().Add(most)
	if d, ok := ctx.Deadline(); ok {
		end = d.Add(-rest)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}

func (a *App) stop(ctx context.Context) error {
	a.stopLinks()
	storing, cancel := a.storingTime(ctx)
	defer cancel()
	a.writer.finish(storing)
	a.linkWork.Wait()
	a.repairs.Wait()
	a.hub.Close()
	var errs []error
	if a.server != nil {
		sctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := a.server.Shutdown(sctx); err != nil {
			errs = append(errs, a.server.Close())
		}
		cancel()
	}
	a.stopPath()
	errs = append(errs, a.writer.left())
	a.stopWork()
	a.closeTargets()
	a.lookupWork.Wait()
	a.housework.Wait()
	return errors.Join(append(errs, a.db.Close())...)
}

func (a *App) number(pbx, raw string) bridge.Number {
	n, _ := phone.Parse(raw, a.cfg.CountryOf(pbx))
	return n
}

// ownNumber is what clients see when one of us calls and the PBX has not said
// it yet: the number of the settings (M-5.1), or of the configuration.
func (a *App) ownNumber(pbx string) string {
	for _, in := range a.plan.Load().settings.Integrations {
		if in.ClickToCall.Number != "" {
			return in.ClickToCall.Number
		}
	}
	for _, p := range a.cfg.PBX {
		if p.ID == pbx {
			return p.OutboundCallerID
		}
	}
	return ""
}

// lineNumber writes one of our numbers the way settings and records do; pbx is
// "" for one that no PBX said.
func (a *App) lineNumber(pbx, raw string) string {
	if n, kind := phone.Parse(raw, a.cfg.CountryOf(pbx)); kind == phone.Public {
		return string(n)
	}
	return raw
}

func (a *App) line(number string) bridge.Line {
	if l, ok := a.plan.Load().lines[number]; ok {
		return l
	}
	return bridge.Line{Number: number}
}

func (a *App) employee(ext string) string {
	if p := a.plan.Load(); p != nil {
		return p.names[ext]
	}
	return ""
}

// cardMoment says when an employee wants his card.
func (a *App) cardMoment(ext string) bridge.CardMoment {
	if p := a.plan.Load(); p != nil {
		return p.moments[ext]
	}
	return bridge.CardAtRing
}

func (a *App) origins() []string {
	if a.cfg.PublicURL == "" {
		return nil
	}
	return []string{a.cfg.PublicURL}
}

func (a *App) webDeps() web.Deps {
	s := site{a}
	d := web.Deps{Log: a.log, Key: a.opts.Key, PublicURL: a.cfg.PublicURL, Zone: a.zone, Version: a.opts.Version, Demo: a.opts.Demo,
		Users: s, Sessions: s, Calls: s, Ledger: s, Client: s.client, Hub: a.hub, Live: a.core.liveCalls, Integrations: s.integrations, PBXs: s.pbxs,
		Missing: s.missing, Switch: switcher{a}, Repair: ledgerClerk{a}, Dialer: a, Presence: a, Route: s.route, Routes: s.routes, Employees: a, Check: a.Check, Returns: a.returns, Line: a.line, Employee: a.employee,
		Parse:    func(t string) bridge.Number { return a.number("", t) },
		Number:   func(n string) string { return phone.Format(bridge.Number(n), "ru") },
		Metrics:  a.metricsHandler(),
		LogLevel: a.opts.Level,
		Mount:    a.mounts(),
		Names:    s.names, Stats: s.stats, Rings: s.rings, Phones: s.phone, CaseFile: a.CaseFile, Audit: s, Admin: admin{a}, Embedding: a, FrameAncestors: a.cfg.FrameAncestors,
	}
	a.consoleDeps(&d)
	return d
}

func (a *App) saveDND(ctx context.Context, ext string, on bool) error {
	return a.db.SetDoNotDisturb(ctx, store.DoNotDisturb{Extension: ext, On: on, At: bridge.At(time.Now())})
}

// HasUsers says whether anybody can sign in.
func (a *App) HasUsers() bool { return len(a.plan.Load().settings.Users) > 0 }
