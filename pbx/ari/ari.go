// Package ari is the adapter for Asterisk: it follows all calls over ARI's
// event websocket and acts through its REST interface (click-to-call, routing,
// do-not-disturb, recordings).
//
// One goroutine reads the websocket and does nothing else, because Asterisk
// cuts a reader that stands still for 100 ms and stops taking calls while its
// queue is long. Frames wait in memory, bounded by bytes; a second goroutine
// decodes and emits them. After every connect the adapter asks what exists and
// tells it as LinkLost and LinkUp, in order with the other events.
//
// Inferred, not observed (each in one place): channels left waiting in our
// Stasis application over a reconnect may be continued (reconcile.go); HTTP
// answers carry a Date header (rest.go); an Asterisk without event filters
// answers 404 to the request for one (filter.go).
package ari

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/pbx"
)

// Config is what one Asterisk needs. The zero value of everything but URL,
// Username and Password is a sensible default.
type Config struct {
	ID       string // id of the PBX in the configuration
	URL      string // base with /ari: http://127.0.0.1:8088/ari, or with the prefix of http.conf
	Username string
	Password string
	App      string // Stasis application; default callbridge. One daemon per name
	// Trunks, Phones and Names say what the endpoints are (see DecodeOptions).
	Trunks []string
	Phones *regexp.Regexp
	Names  map[string]string // endpoint with an odd name → extension
	Tech   string            // technology of the phones; default PJSIP

	ClickContext     string        // where click-to-call enters the dialplan; default click2call
	OutboundCallerID string        // our number the client sees at a click-to-call that names none
	RingFor          time.Duration // how long the employee's phone rings at a click-to-call; default 25 s

	RouteArg    string        // first argument of Stasis() that asks for a route; default route
	RouteBudget time.Duration // after it the call goes on by itself; default 1.5 s

	RecordingDir string // folder with recordings, looked into before ARI is asked; "" = ARI only

	// KeepVarsets keeps ChannelVarset events even where channelvars tell the
	// same: half of all traffic, for dialplans that tell things by variables.
	KeepVarsets bool
	// QueueBytes bounds the frames that wait to be decoded; default 64 MiB.
	QueueBytes int64
	// LastSeen is when, by the PBX's clock, the last event stored before this
	// start was seen: the first LinkLost begins there. Zero: nothing was missed.
	LastSeen bridge.Time
}

// Deps is what the adapter uses of its surroundings; everything is optional.
type Deps struct {
	Log   *slog.Logger
	Hooks Hooks
	TLS   *tls.Config
	// DialContext opens connections, for tests without a network.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Hooks are told what happens, for metrics. Each may be nil, must not block,
// and is called from several goroutines. Label values come from closed lists.
type Hooks struct {
	Event     func(kind bridge.EventKind)                     // a frame was decoded
	Malformed func()                                          // a frame could not be read
	Overflow  func()                                          // the queue was full and the link was given up
	Connected func(again bool)                                // the websocket is open
	Request   func(op string, status int, took time.Duration) // status 0: no answer
	ReaderGap func(d time.Duration)                           // time between two reads of the websocket
	Route     func(result RouteResult, took time.Duration)    // a routing question is settled
}

// RouteResult is how a routing question ended.
type RouteResult string

const (
	RouteAnswered RouteResult = "answered" // sent to the chosen extension
	RouteDefault  RouteResult = "default"  // let go without one, as wanted
	RouteTimeout  RouteResult = "timeout"  // nobody answered within the budget
	RouteLate     RouteResult = "late"     // the call had gone on or ended before
	RouteFailed   RouteResult = "failed"   // Asterisk could not be told
)

// RouteResults returns the closed list, for metrics at zero.
func RouteResults() []RouteResult {
	return []RouteResult{RouteAnswered, RouteDefault, RouteTimeout, RouteLate, RouteFailed}
}

// PBX is one Asterisk. All methods are safe for concurrent use; Run runs once
// at a time.
type PBX struct {
	cfg  Config
	base *url.URL
	dec  *Decoder
	log  *slog.Logger
	hook Hooks
	deps Deps
	http *http.Client

	status  status
	clock   clock
	filter  filter
	routes  routes
	clicks  clicks
	strange strange
	running sync.Mutex
}

var (
	_ pbx.Stream        = (*PBX)(nil)
	_ pbx.Originator    = (*PBX)(nil)
	_ pbx.RouteAnswerer = (*PBX)(nil)
	_ pbx.Presence      = (*PBX)(nil)
	_ pbx.Hangupper     = (*PBX)(nil)
	_ pbx.Transferrer   = (*PBX)(nil)
	_ pbx.Recordings    = (*PBX)(nil)
)

// New makes the adapter. There is no network here; a wrong URL is the only error.
func New(cfg Config, deps Deps) (*PBX, error) {
	base, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("url: want http://host:8088/ari, have %q", cfg.URL)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("url: user, password and query do not belong into it")
	}
	cfg.App = cmp.Or(cfg.App, "callbridge")
	if strings.ContainsAny(cfg.App, ", &?") {
		return nil, fmt.Errorf("app: %q must be one name without commas and spaces", cfg.App) // two apps double every event
	}
	cfg.Tech = cmp.Or(cfg.Tech, "PJSIP")
	cfg.ClickContext = cmp.Or(cfg.ClickContext, "click2call")
	cfg.RouteArg = cmp.Or(cfg.RouteArg, "route")
	cfg.RingFor = cmp.Or(cfg.RingFor, 25*time.Second)
	cfg.RouteBudget = cmp.Or(cfg.RouteBudget, 1500*time.Millisecond)
	cfg.QueueBytes = cmp.Or(cfg.QueueBytes, 64<<20)
	if cfg.Phones == nil {
		cfg.Phones = regexp.MustCompile(`^\d{2,5}$`)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.DialContext == nil {
		deps.DialContext = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	p := &PBX{
		cfg:  cfg,
		base: base,
		dec:  NewDecoder(DecodeOptions{PBX: cfg.ID, Trunks: cfg.Trunks, Phones: cfg.Phones, Extensions: cfg.Names}),
		log:  deps.Log.With("pbx", cfg.ID),
		hook: deps.Hooks,
		deps: deps,
	}
	p.http = newHTTPClient(deps)
	p.clock.start(cfg.LastSeen)
	p.status.set(func(s *Status) { s.Code, s.Problem = ProblemConnecting, "not connected yet" })
	return p, nil
}

// ID returns the id of the PBX in the configuration.
func (p *PBX) ID() string { return p.cfg.ID }

// endpoint is what Asterisk calls the phone of an extension: the reverse of Names.
func (p *PBX) endpoint(extension string) (resource string, ok bool) {
	for name, ext := range p.cfg.Names {
		if ext == extension {
			return name, true
		}
	}
	return extension, extension != "" && p.cfg.Phones.MatchString(extension)
}
