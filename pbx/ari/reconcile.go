package ari

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
)

// reconcile asks what exists and emits LinkLost and LinkUp. opened is when the
// websocket was opened. It returns the channels that wait in our Stasis
// application, which get no StasisStart a second time.
func (p *PBX) reconcile(ctx context.Context, opened time.Time, emit func(bridge.Event)) (waiting []string, err error) {
	readOnly := false
	if err := p.putFilter(ctx); err != nil {
		// The filter is the one harmless write: it shows a user who may only read.
		if readOnly = fault.KindOf(err) == fault.Forbidden; !readOnly {
			return nil, err
		}
	}
	snap, info, channels, asked, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	again := false
	for i := range snap.Channels {
		again = p.filter.observe(&snap.Channels[i]) || again
	}
	if again && !readOnly {
		if err := p.putFilter(ctx); err != nil {
			p.log.Warn("event filter not set", "err", err)
		}
	}
	now := bridge.At(time.Now())
	if from := p.clock.seen(); !from.IsZero() {
		to := p.clock.pbx(opened)
		if to.Before(from.Time) {
			to = from
		}
		emit(bridge.Event{ID: "link_lost:" + stamp(from) + "-" + stamp(to), PBX: p.cfg.ID, Kind: bridge.LinkLost,
			At: to, Seen: now, From: from, To: to})
	}
	at := p.clock.pbx(asked)
	emit(bridge.Event{ID: "link_up:" + stamp(at), PBX: p.cfg.ID, Kind: bridge.LinkUp, At: at, Seen: now, Snapshot: &snap})

	p.status.set(func(s *Status) {
		s.Connected, s.Code, s.Problem = true, ProblemNone, ""
		s.Version, s.StartedAt = version(info), snap.StartedAt
		if readOnly {
			s.Code = ProblemReadOnly
			s.Problem = "the ARI user may only read: set read_only = no in ari.conf, else there is no click-to-call and no routing"
		}
	})
	if readOnly {
		p.log.Error("the ARI user may only read", "user", p.cfg.Username)
	}
	return p.inStasis(channels), nil
}

// snapshot asks what exists; it returns two of the answers as they came, and
// when it asked.
func (p *PBX) snapshot(ctx context.Context) (snap bridge.Snapshot, info, channels []byte, asked time.Time, err error) {
	var bridges []byte
	if err = p.do(ctx, request{op: "info", method: http.MethodGet, path: "/asterisk/info", out: &info}); err != nil {
		return snap, nil, nil, asked, err
	}
	asked = time.Now()
	if err = p.do(ctx, request{op: "channels", method: http.MethodGet, path: "/channels", out: &channels}); err != nil {
		return snap, nil, nil, asked, err
	}
	if err = p.do(ctx, request{op: "bridges", method: http.MethodGet, path: "/bridges", out: &bridges}); err != nil {
		return snap, nil, nil, asked, err
	}
	if snap, err = p.dec.Snapshot(info, channels, bridges); err != nil {
		err = fault.New(fault.Temporary, "ari: snapshot", "%v", err)
	}
	return snap, info, channels, asked, err
}

// Snapshot returns what the PBX has now, and when that was by its clock.
func (p *PBX) Snapshot(ctx context.Context) (bridge.Snapshot, bridge.Time, error) {
	snap, _, _, asked, err := p.snapshot(ctx)
	return snap, p.clock.pbx(asked), err
}

func stamp(t bridge.Time) string { return strconv.FormatInt(t.Milli(), 10) }

func version(info []byte) string {
	var v struct {
		System struct {
			Version string `json:"version"`
		} `json:"system"`
	}
	_ = json.Unmarshal(info, &v) // an odd answer only hides the version
	return v.System.Version
}

// inStasis returns the channels of GET /channels that stand in our application
// [inferred: that app_data begins with its name].
func (p *PBX) inStasis(channels []byte) []string {
	var list []struct {
		ID       string `json:"id"`
		Dialplan struct {
			App  string `json:"app_name"`
			Data string `json:"app_data"`
		} `json:"dialplan"`
	}
	_ = json.Unmarshal(channels, &list) // Snapshot has read the same bytes
	var ids []string
	for _, c := range list {
		app, _, _ := strings.Cut(c.Dialplan.Data, ",")
		if c.Dialplan.App == "Stasis" && app == p.cfg.App {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
