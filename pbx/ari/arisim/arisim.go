// Package arisim is a simulated Asterisk: it speaks the part of ARI that
// Callbridge uses, as strictly as the real one, and plays recorded calls on it
// with other numbers, phones, ids and times. The demo, the tests and load runs
// use it. Any number of them live in one process; none has a fixed port.
package arisim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"callbridge/pbx/ari/aristream"
)

// Options is what the simulated Asterisk is. The zero value is a PBX with
// phones 101 to 105, the trunk "trunk", and the user callbridge / secret.
type Options struct {
	Username, Password string
	ReadOnlyUser       string // a second user, with the same password, who may only read
	Version            string
	Phones             []string // extensions; default 101…105
	Trunk              string
	// RouteWait is how long a call stays in the routing step when nobody
	// answers, as TIMEOUT(absolute) does it in the dialplan; default 2 s.
	RouteWait time.Duration
	// WriteTimeout cuts a websocket that does not read; default 100 ms.
	WriteTimeout time.Duration
	// NoFilter is an Asterisk that has no event filters (before 16.3).
	NoFilter bool
	// Missing are modules (app_stasis.so) and places of the dialplan
	// (click2call,79161234567,1) that this Asterisk lacks.
	Missing []string
	// OnOriginate chooses the recorded call that an originate plays; default c2c_answered.
	OnOriginate func(extension, number string) (scenario string)
	// OriginateSpeed is the speed of such a call; default 1.
	OriginateSpeed float64
	// CallLog is a file that gets the records of every call when it is over, as
	// cdr_custom writes them; empty: none. Its columns are CallLogColumns.
	CallLog string
	// CallLogExact writes times as CDR(start,u) does, not cut to whole seconds.
	CallLogExact bool
	// CallLogLate is how long after the end of a call its records come.
	CallLogLate time.Duration
}

// Sim is a simulated Asterisk.
type Sim struct {
	opt Options
	mux *http.ServeMux

	srv    *http.Server
	lis    net.Listener
	pipe   *pipeListener
	closed chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	started    time.Time
	serial     int64 // of channel ids
	number     int64 // of channel names; begins again with a restart
	sequence   int64 // of records in the call log
	logTrouble error
	apps       map[string]*client
	live       map[string]*channel
	created    map[string]bool // channels never dialled
	order      []string        // ids of live channels, oldest first
	rooms      map[string]*room
	states     map[string]string
	phones     map[string]string // endpoint → online, offline
	plays      map[*Playing]bool
	recordings []string
	requests   []Request
	routes     []Route
	scripts    map[string]*script
	refuse     int
	stalled    chan struct{} // closed when the stall ends; nil: none
	lose       int
}

// Request is a REST request that was made, for tests.
type Request struct {
	Method, Path string
	Query        string
	Body         string
	Status       int
}

// Route is one routing question and what became of it.
type Route struct {
	Channel   string
	Args      []string
	Extension string // CB_ROUTE as the client set it; "" if not
	Answered  bool   // the client continued the channel
	Took      time.Duration
}

// New makes a simulated Asterisk; Start or StartPipe lets it be reached.
func New(o Options) *Sim {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&o.Username, "callbridge")
	set(&o.Password, "secret")
	set(&o.Version, "22.10.1")
	set(&o.Trunk, "trunk")
	if o.Phones == nil {
		o.Phones = []string{"101", "102", "103", "104", "105"}
	}
	if o.RouteWait == 0 {
		o.RouteWait = 2 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 100 * time.Millisecond
	}
	if o.OriginateSpeed == 0 {
		o.OriginateSpeed = 1
	}
	if o.OnOriginate == nil {
		o.OnOriginate = func(string, string) string { return "c2c_answered" }
	}
	s := &Sim{opt: o, closed: make(chan struct{}), started: time.Now(),
		apps: map[string]*client{}, live: map[string]*channel{}, created: map[string]bool{}, rooms: map[string]*room{},
		states: map[string]string{}, phones: map[string]string{}, plays: map[*Playing]bool{}, scripts: map[string]*script{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, p := range append(slices.Clone(o.Phones), o.Trunk) {
		s.phones[p] = "online"
	}
	s.mux = s.handlers()
	return s
}

// Start listens on a free port of the loopback address.
func (s *Sim) Start() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("simulated Asterisk: %w", err)
	}
	s.lis = l
	s.serve(l)
	return nil
}

// StartPipe lets it be reached only by DialContext, without a network: that
// works in a synctest bubble.
func (s *Sim) StartPipe() {
	s.pipe = newPipeListener()
	s.serve(s.pipe)
}

func (s *Sim) serve(l net.Listener) {
	s.srv = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.wg.Go(func() { _ = s.srv.Serve(l) })
}

// URL is the base address for a client's configuration.
func (s *Sim) URL() string {
	if s.lis == nil {
		return "http://asterisk.invalid/ari"
	}
	return "http://" + s.lis.Addr().String() + "/ari"
}

// Username and Password are what a client logs in with.
func (s *Sim) Username() string { return s.opt.Username }

// Password belongs to Username.
func (s *Sim) Password() string { return s.opt.Password }

// DialContext connects to a Sim started with StartPipe, whatever the address.
func (s *Sim) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.pipe == nil {
		return nil, errors.New("the simulated Asterisk listens on " + s.URL())
	}
	s.mu.Lock()
	gone := s.refuse < 0
	s.mu.Unlock()
	if gone {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
	}
	return s.pipe.dial(ctx)
}

// Close ends all calls and connections.
func (s *Sim) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return
	default:
		close(s.closed)
	}
	s.unstall()
	s.mu.Unlock()
	s.cancel()
	s.DropAll()
	if s.srv != nil {
		_ = s.srv.Close()
	}
	s.wg.Wait()
}

// DropAll cuts all websockets, as a broken network does.
func (s *Sim) DropAll() {
	s.mu.Lock()
	var all []*client
	for app, c := range s.apps {
		all = append(all, c)
		delete(s.apps, app)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.cut()
	}
}

// Stall makes the whole PBX silent while its connections stay open: nothing
// is sent, no ping answered, no request. Events of that time are kept.
func (s *Sim) Stall(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !on {
		s.unstall()
		return
	}
	if s.stalled == nil {
		s.stalled = make(chan struct{})
	}
}

func (s *Sim) unstall() {
	if s.stalled != nil {
		close(s.stalled)
		s.stalled = nil
	}
}

// waitStall returns when nothing is stalled, false if the Sim was closed.
func (s *Sim) waitStall(done <-chan struct{}) bool {
	for {
		s.mu.Lock()
		c := s.stalled
		s.mu.Unlock()
		if c == nil {
			return true
		}
		select {
		case <-c:
		case <-s.closed:
			return false
		case <-done:
			return false
		}
	}
}

// Refuse answers every new request and websocket with status until Refuse(0);
// a negative status refuses the connection itself. A booting Asterisk is
// Refuse(-1), Refuse(404), Refuse(503), Refuse(0).
func (s *Sim) Refuse(status int) {
	s.mu.Lock()
	s.refuse = status
	s.mu.Unlock()
}

// LoseAnswers carries out the next n writing requests but cuts the connection
// instead of answering.
func (s *Sim) LoseAnswers(n int) {
	s.mu.Lock()
	s.lose = n
	s.mu.Unlock()
}

// Restart is a crash and a new start: calls and connections are gone without
// an event, names of channels begin again, the start time is new.
func (s *Sim) Restart() {
	s.mu.Lock()
	for p := range s.plays {
		p.stop()
	}
	s.live, s.order, s.rooms = map[string]*channel{}, nil, map[string]*room{}
	s.number = 0
	s.started = time.Now()
	s.mu.Unlock()
	s.DropAll()
}

// SendRaw sends a frame as it is to all websockets, for what a real Asterisk
// would not send.
func (s *Sim) SendRaw(frame string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.apps {
		c.send([]byte(frame))
	}
}

// SetPhone makes a phone come (online) or go (offline), with its event.
func (s *Sim) SetPhone(extension, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phones[extension] == state {
		return
	}
	s.phones[extension] = state
	peer := "Reachable"
	if state != "online" {
		peer = "Unreachable"
	}
	s.tell("PeerStatusChange", map[string]any{"endpoint": s.endpointJSON(extension), "peer": map[string]string{"peer_status": peer}})
}

// Connected says how many websockets are open.
func (s *Sim) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.apps)
}

// Filtered returns the event types that the client of app does not want.
func (s *Sim) Filtered(app string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.apps[app]
	if c == nil {
		return nil
	}
	var list []string
	for t := range c.disallowed {
		list = append(list, t)
	}
	slices.Sort(list)
	return list
}

// Requests returns the REST requests made so far, the last 1000 of them.
func (s *Sim) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Routes returns the routing questions so far, the last 1000 of them.
func (s *Sim) Routes() []Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.routes)
}

// Live returns the ids of all channels, oldest first.
func (s *Sim) Live() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// script returns a recorded stream, cut once.
func (s *Sim) script(name string) (*script, error) {
	s.mu.Lock()
	sc := s.scripts[name]
	s.mu.Unlock()
	if sc != nil {
		return sc, nil
	}
	lines, err := aristream.Load(name)
	if err != nil {
		return nil, err
	}
	if sc, err = compile(name, lines); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.scripts[name] = sc
	s.mu.Unlock()
	return sc, nil
}

func (s *Sim) nextID() string {
	s.serial++
	return "sim-" + strconv.FormatInt(time.Now().Unix(), 10) + "." + strconv.FormatInt(s.serial, 10)
}

func keepLast[T any](list []T, v T) []T {
	if len(list) >= 1000 {
		list = slices.Delete(list, 0, 100)
	}
	return append(list, v)
}

// pipeListener gives out connections made in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
