package ari

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"callbridge/bridge"
)

// clock keeps what the PBX's clock shows beside ours, and when we last heard
// of it, so that the bounds of a gap are in the same time as the events.
type clock struct {
	event atomic.Int64 // arrival of the last frame, ns
	heard atomic.Int64 // arrival of the last frame or pong, ns

	mu     sync.Mutex
	skew   time.Duration // PBX minus ours
	exact  bool          // skew comes from an event, not from a Date header
	before bridge.Time   // all before this was seen (PBX's clock)
}

func (c *clock) start(seen bridge.Time) { c.before = seen }

// frameAt notes the arrival of a frame; called by the reader.
func (c *clock) frameAt(now time.Time) {
	n := now.UnixNano()
	c.event.Store(n)
	c.heard.Store(n)
}

// pongAt notes a sign of life.
func (c *clock) pongAt(now time.Time) { c.heard.Store(now.UnixNano()) }

// told learns from an event what the PBX's clock showed when it reached us.
func (c *clock) told(at bridge.Time, seen time.Time) {
	if at.IsZero() {
		return
	}
	c.mu.Lock()
	c.skew, c.exact = at.Time.Sub(seen), true
	c.mu.Unlock()
}

// date learns from a Date header, which has whole seconds only and so counts
// only while no event told better and when it differs much.
func (c *clock) date(header string, now time.Time) {
	if header == "" {
		return
	}
	t, err := http.ParseTime(header)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := t.Sub(now); !c.exact && (d > 2*time.Second || d < -2*time.Second) {
		c.skew = d
	}
}

// pbx turns a moment of ours into the PBX's time.
func (c *clock) pbx(t time.Time) bridge.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bridge.At(t.Add(c.skew))
}

// lost notes that the link ended: everything until the last sign of life was seen.
func (c *clock) lost() {
	if n := c.heard.Load(); n != 0 {
		at := c.pbx(time.Unix(0, n))
		c.mu.Lock()
		c.before = at
		c.mu.Unlock()
	}
}

// seen returns until when everything was seen; zero if there is no earlier time to miss anything of.
func (c *clock) seen() bridge.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.before
}

// last returns the arrivals of the last frame and of the last sign of life.
func (c *clock) last() (event, heard time.Time) {
	if n := c.event.Load(); n != 0 {
		event = time.Unix(0, n)
	}
	if n := c.heard.Load(); n != 0 {
		heard = time.Unix(0, n)
	}
	return event, heard
}
