package ari

import (
	"context"
	"net/http"
	"net/url"

	"callbridge/bridge/fault"
)

// Do-not-disturb is kept as the device state Stasis:dnd-<extension>, which
// Asterisk keeps over restarts and the dialplan can ask for.
func dndPath(extension string) string {
	return "/deviceStates/" + url.PathEscape("Stasis:dnd-"+extension)
}

// SetDoNotDisturb switches it for an extension.
func (p *PBX) SetDoNotDisturb(ctx context.Context, extension string, on bool) error {
	if _, ok := p.endpoint(extension); !ok {
		return fault.New(fault.Invalid, "ari: do-not-disturb", "%q is no extension", extension)
	}
	if on {
		return p.do(ctx, request{op: "do-not-disturb", method: http.MethodPut, path: dndPath(extension),
			query: url.Values{"deviceState": {"BUSY"}}})
	}
	err := p.do(ctx, request{op: "do-not-disturb", method: http.MethodDelete, path: dndPath(extension)})
	if fault.KindOf(err) == fault.Gone {
		return nil // it was off
	}
	return err
}

// doNotDisturb asks whether it is on; if that cannot be found out, it is not.
func (p *PBX) doNotDisturb(ctx context.Context, extension string) bool {
	var d struct {
		State string `json:"state"`
	}
	err := p.do(ctx, request{op: "device state", method: http.MethodGet, path: dndPath(extension), out: &d})
	return err == nil && d.State == "BUSY"
}

// PhoneState returns online, offline or unknown. A phone that Asterisk does
// not have is unknown.
func (p *PBX) PhoneState(ctx context.Context, extension string) (string, error) {
	resource, ok := p.endpoint(extension)
	if !ok {
		return "unknown", nil
	}
	state, err := p.endpointState(ctx, resource)
	switch {
	case fault.KindOf(err) == fault.Gone:
		return "unknown", nil
	case err != nil:
		return "", err
	case state == "online" || state == "offline":
		return state, nil
	}
	return "unknown", nil
}

func (p *PBX) endpointState(ctx context.Context, resource string) (string, error) {
	var e struct {
		State string `json:"state"`
	}
	err := p.do(ctx, request{op: "endpoint", method: http.MethodGet,
		path: "/endpoints/" + url.PathEscape(p.cfg.Tech) + "/" + url.PathEscape(resource), out: &e})
	return e.State, err
}
