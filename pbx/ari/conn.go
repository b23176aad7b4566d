package ari

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
	"callbridge/bridge/fault"
)

const (
	pingEvery     = 10 * time.Second
	silenceLimit  = 25 * time.Second // without a frame or pong the link is dead
	writeTime     = 5 * time.Second
	handshakeTime = 5 * time.Second
	maxFrame      = 1 << 20 // frames seen are below 4 KB
	firstPause    = 200 * time.Millisecond
	lastPause     = 15 * time.Second
	replacedPause = 30 * time.Second // two daemons must not fight
	settled       = 5 * time.Second  // a link that lived so long starts the back-off anew
	bootTime      = 2 * time.Minute  // after it a 404 is no longer "starting"
	reconcileTime = 10 * time.Second
)

// errReplaced ends a link after another client took our application.
var errReplaced = errors.New("another program uses the same application name")

// errOverflow ends a link whose frames came faster than they were worked off.
var errOverflow = errors.New("more events came than could be worked off")

// Run follows the PBX until ctx ends, reconnecting for ever, and then returns
// the context's error. emit gets, in order and from one goroutine, every event
// that is to be stored (Kind.Stored) and the states of phones, which are not;
// it must not block.
func (p *PBX) Run(ctx context.Context, emit func(bridge.Event)) error {
	if !p.running.TryLock() {
		return errors.New("ari: Run is already running")
	}
	defer p.running.Unlock()
	defer p.releaseRoutes()
	defer p.status.set(func(s *Status) { s.Connected, s.Code, s.Problem = false, ProblemConnecting, "stopped" })

	pause, trouble := firstPause, time.Time{}
	for again := false; ctx.Err() == nil; again = true {
		began := time.Now()
		err := p.link(ctx, again, emit)
		if ctx.Err() != nil {
			break
		}
		now := time.Now()
		if p.Status().Connected || now.Sub(began) > settled {
			trouble = time.Time{}
		}
		if now.Sub(began) > settled {
			pause = firstPause
		}
		if trouble.IsZero() {
			trouble = now
		}
		p.report(err, now.Sub(trouble))
		wait := pause/2 + rand.N(pause/2+1)
		pause = min(pause*2, lastPause)
		switch {
		case errors.Is(err, errReplaced):
			wait = replacedPause + rand.N(replacedPause/10)
		case fault.KindOf(err) == fault.Auth:
			wait = lastPause // nothing changes until somebody changes it
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return ctx.Err()
}

// link opens the websocket, reconciles, and works until the link ends.
func (p *PBX) link(ctx context.Context, again bool, emit func(bridge.Event)) error {
	ws, err := p.dial(ctx)
	if err != nil {
		return err
	}
	opened := time.Now()
	p.clock.pongAt(opened)
	if p.hook.Connected != nil {
		p.hook.Connected(again)
	}
	if again {
		p.status.set(func(s *Status) { s.Reconnects++ })
	}
	linkCtx, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	q := newQueue(p.cfg.QueueBytes)
	p.status.use(q)
	defer p.status.use(nil)

	closed := make(chan struct{})
	go func() { // the reader
		defer close(closed)
		err := p.read(ws, q)
		drop(err)
		q.close()
	}()
	go p.ping(linkCtx, ws)
	stop := context.AfterFunc(linkCtx, func() { goodbye(ws, closed) })
	defer stop()

	waiting, err := p.reconcileUntil(linkCtx, opened, emit)
	if err == nil {
		go p.watchApp(linkCtx, drop)
		p.log.Info("connected", "again", again, "linkedid", p.filter.linked())
		p.work(ctx, drop, q, waiting, emit)
		p.clock.lost()
	} else {
		drop(err)
	}
	<-closed
	return context.Cause(linkCtx)
}

// dial opens the websocket; a refusal is a *fault.Error with its status.
func (p *PBX) dial(ctx context.Context) (*websocket.Conn, error) {
	const op = "ari: connect"
	u := *p.base
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	u.Path += "/events"
	u.RawQuery = url.Values{"app": {p.cfg.App}, "subscribeAll": {"true"}}.Encode()
	d := websocket.Dialer{NetDialContext: p.deps.DialContext, TLSClientConfig: p.deps.TLS,
		HandshakeTimeout: handshakeTime, ReadBufferSize: 64 << 10}
	auth := base64.StdEncoding.EncodeToString([]byte(p.cfg.Username + ":" + p.cfg.Password))
	ctx, cancel := context.WithTimeout(ctx, 2*handshakeTime)
	defer cancel()
	ws, resp, err := d.DialContext(ctx, u.String(), http.Header{"Authorization": {"Basic " + auth}})
	if err == nil {
		return ws, nil
	}
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		var b [maxComplaint]byte
		n, _ := resp.Body.Read(b[:])
		return nil, &fault.Error{Kind: kindOf(resp.StatusCode), Op: op, Status: resp.StatusCode, Err: errors.New(complaint(b[:n]))}
	}
	return nil, &fault.Error{Kind: fault.Temporary, Op: op, Err: plain(err)}
}

// read is the whole work of the reading goroutine: nothing here may wait for
// anything but the socket.
func (p *PBX) read(ws *websocket.Conn, q *queue) error {
	ws.SetReadLimit(maxFrame)
	alive := func() error { return ws.SetReadDeadline(time.Now().Add(silenceLimit)) }
	ws.SetPongHandler(func(string) error { p.clock.pongAt(time.Now()); return alive() })
	if err := alive(); err != nil {
		return err
	}
	var buf bytes.Buffer
	var done time.Time
	for {
		if !done.IsZero() && p.hook.ReaderGap != nil {
			p.hook.ReaderGap(time.Since(done))
		}
		_, r, err := ws.NextReader()
		if err == nil {
			buf.Reset()
			_, err = buf.ReadFrom(r)
		}
		if err != nil {
			return lossOf(err)
		}
		done = time.Now()
		p.clock.frameAt(done)
		if err := alive(); err != nil {
			return err
		}
		if !q.push(frame{raw: bytes.Clone(buf.Bytes()), at: done}) {
			return errOverflow
		}
	}
}

// lossOf says in words why reading ended.
func lossOf(err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Errorf("no sign of life for %v", silenceLimit)
	}
	if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
		return fmt.Errorf("closed by Asterisk (%d)", ce.Code)
	}
	return err
}

// ping makes Asterisk show that it lives; it sends no pings of its own.
func (p *PBX) ping(ctx context.Context, ws *websocket.Conn) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			// A write that fails shows at the reader, which ends the link.
			_ = ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTime))
		}
	}
}

// reconcileUntil repeats reconcile while Asterisk is still starting.
func (p *PBX) reconcileUntil(ctx context.Context, opened time.Time, emit func(bridge.Event)) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTime)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, 2*time.Second) {
		waiting, err := p.reconcile(ctx, opened, emit)
		kind := fault.KindOf(err)
		if err == nil || ctx.Err() != nil || (kind != fault.Temporary && kind != fault.Gone && kind != fault.Uncertain) {
			return waiting, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, err
		}
	}
}

// work decodes and emits frames until the queue is closed and empty: what had
// arrived when the link ended is worked off too. ctx is Run's.
func (p *PBX) work(ctx context.Context, drop func(error), q *queue, waiting []string, emit func(bridge.Event)) {
	left := make(map[string]bool, len(waiting)) // in our application without a question seen
	for _, id := range waiting {
		left[id] = true
	}
	before, n := q.count(), int64(0) // frames that came before the snapshot was taken
	free := func() {
		if n < before || left == nil {
			return
		}
		for id := range left {
			go p.letGo(ctx, id)
		}
		left = nil
	}
	free()
	for {
		frames, ok := q.take()
		if !ok {
			return
		}
		for i, f := range frames {
			p.handle(ctx, drop, f, left, emit)
			next := time.Time{}
			if i+1 < len(frames) {
				next = frames[i+1].at
			}
			q.done(f, next)
			frames[i] = frame{}
			n++
			free()
		}
	}
}

var replacedMark = []byte(`"ApplicationReplaced"`)

// handle works off one frame.
func (p *PBX) handle(ctx context.Context, drop func(error), f frame, waiting map[string]bool, emit func(bridge.Event)) {
	if bytes.Contains(f.raw, replacedMark) && p.isReplaced(f.raw) {
		drop(errReplaced)
		return
	}
	e, useful, err := p.decode(f.raw)
	e.PBX, e.Seen = p.cfg.ID, bridge.At(f.at)
	if err != nil {
		e.Kind, e.Raw, e.Value = bridge.UnknownEvent, f.raw, err.Error()
		if e.At.IsZero() {
			e.At = p.clock.pbx(f.at)
		}
		p.malformed(f.raw, err)
		emit(e)
		return
	}
	p.clock.told(e.At, f.at)
	if p.hook.Event != nil {
		p.hook.Event(e.Kind)
	}
	switch e.Kind {
	case bridge.ChannelBegan:
		if e.Leg != nil && !e.Leg.Helper && p.filter.observe(e.Leg) {
			go p.refilter(ctx)
		}
	case bridge.DeviceState, bridge.Registration:
		useful = true // not for the call, but pages show phones
	case bridge.RouteAsked:
		useful = true
		if e.Leg != nil {
			delete(waiting, e.Leg.ID)
			p.routeAsked(ctx, e)
		}
	case bridge.RouteEnded, bridge.ChannelEnded:
		if e.Leg != nil {
			delete(waiting, e.Leg.ID)
			p.routeEnded(e.Leg.ID)
		}
	}
	if useful {
		emit(e)
	}
}

// refilter sends the filter again after the first channel showed which one fits.
func (p *PBX) refilter(ctx context.Context) {
	if err := p.putFilter(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("event filter not set", "err", err)
	}
}

// decode is Decode that survives its own bugs: a frame is never fatal.
func (p *PBX) decode(raw []byte) (e bridge.Event, useful bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder failed: %v", r)
		}
	}()
	return p.dec.Decode(raw)
}

func (p *PBX) isReplaced(raw []byte) bool {
	var e struct{ Type, Application string }
	return json.Unmarshal(raw, &e) == nil && e.Type == "ApplicationReplaced" && (e.Application == "" || e.Application == p.cfg.App)
}

// strange remembers what was logged already.
type strange struct {
	seen map[string]bool // only the working goroutine uses it
}

// malformed counts a frame that could not be read, and logs it once per kind.
func (p *PBX) malformed(raw []byte, err error) {
	if p.hook.Malformed != nil {
		p.hook.Malformed()
	}
	p.status.set(func(s *Status) { s.Malformed++ })
	var e struct{ Type string }
	kind := "no JSON"
	if json.Unmarshal(raw, &e) == nil {
		kind = "type " + e.Type
	}
	if p.strange.seen[kind] || len(p.strange.seen) >= 64 {
		return
	}
	if p.strange.seen == nil {
		p.strange.seen = map[string]bool{}
	}
	p.strange.seen[kind] = true
	p.log.Warn("a frame from Asterisk cannot be read; it is kept raw, and further ones like it are only counted", "kind", kind, "bytes", len(raw))
}

// report turns the end of a link into health, and logs it when it is new.
func (p *PBX) report(err error, lasting time.Duration) {
	code, text := ProblemOther, ""
	status := statusOf(err)
	switch {
	case errors.Is(err, errReplaced):
		code, text = ProblemReplaced, "another program took the ARI application "+p.cfg.App+": only one may use a name; trying again in half a minute"
	case errors.Is(err, errOverflow):
		code, text = ProblemSlow, "more events came than could be worked off; the link was opened anew"
		p.status.set(func(s *Status) { s.Overflows++ })
		if p.hook.Overflow != nil {
			p.hook.Overflow()
		}
	case status == http.StatusUnauthorized:
		code, text = ProblemAuth, "ARI user or password refused"
	case status == http.StatusNotFound && lasting > bootTime:
		code, text = ProblemNoARI, "there is no ARI at this address: is the address right, and is res_ari loaded?"
	case status == http.StatusNotFound || status == http.StatusServiceUnavailable:
		code, text = ProblemStarting, "Asterisk is starting"
	case status != 0:
		code, text = ProblemOther, err.Error()
	default:
		code, text = ProblemUnreachable, "no connection to Asterisk: "+err.Error()
	}
	var was Problem
	p.status.set(func(s *Status) {
		was = s.Code
		s.Connected, s.Code, s.Problem = false, code, text
	})
	if was == code {
		return
	}
	if code == ProblemReplaced || code == ProblemAuth || code == ProblemNoARI {
		p.log.Error(text, "err", err)
		return
	}
	p.log.Warn(text, "err", err)
}
