package ari

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"callbridge/bridge"
	"callbridge/bridge/fault"
)

// filter decides which events Asterisk need not send. Asterisk forgets it with
// the connection, so it is sent after each connect (reference/ari.md 2).
type filter struct {
	send  sync.Mutex // one request at a time, so that the last one wins
	mu    sync.Mutex
	state linkage
}

// linkage says whether channelvars of the PBX names the call of each channel.
type linkage uint8

const (
	linkageUnknown linkage = iota
	linkageNone            // no: what belongs together is found by ChannelVarset too
	linkageVars            // yes: every event tells the current values
)

func (f *filter) linked() bool { return f.is() == linkageVars }

func (f *filter) is() linkage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// observe learns from a channel and says whether the filter is to be sent anew.
func (f *filter) observe(c *bridge.Channel) (changed bool) {
	now := linkageNone
	if c.Group != "" {
		now = linkageVars
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// From unknown to none the filter stays the same.
	changed = now != f.state && (now == linkageVars || f.state == linkageVars)
	f.state = now
	return changed
}

// putFilter tells Asterisk what not to send. Before 16.3 there is no such
// request [inferred: that it answers 404]; Asterisk then goes on without one.
func (p *PBX) putFilter(ctx context.Context) error {
	p.filter.send.Lock()
	defer p.filter.send.Unlock()
	type disallowed struct {
		Type string `json:"type"`
	}
	list := []disallowed{{"ChannelDialplan"}}
	if p.filter.linked() && !p.cfg.KeepVarsets {
		list = append(list, disallowed{"ChannelVarset"})
	}
	err := p.do(ctx, request{
		op: "event filter", method: http.MethodPut,
		path: "/applications/" + url.PathEscape(p.cfg.App) + "/eventFilter",
		body: map[string]any{"disallowed": list},
	})
	if fault.KindOf(err) == fault.Gone {
		// The same answer comes while our application is not there yet.
		missing := p.do(ctx, request{op: "application", method: http.MethodGet, path: "/applications/" + url.PathEscape(p.cfg.App)})
		if missing != nil {
			return missing
		}
		p.log.Info("Asterisk does not know this event filter; it goes on without one", "err", err)
		return nil
	}
	return err
}
