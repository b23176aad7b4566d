package app

import (
	"maps"
	"strings"
	"sync"

	"callbridge/bridge"
)

// phones is what PBXs said of their phones: registered, on the phone. It is
// kept in memory only; after a restart a phone is unknown until it changes.
type phones struct {
	mu    sync.RWMutex
	state map[string]string // pbx/extension → INUSE, NOT_INUSE, …
	reach map[string]string // pbx/extension → online, offline
}

func newPhones() *phones {
	return &phones{state: map[string]string{}, reach: map[string]string{}}
}

func (p *phones) apply(e bridge.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == bridge.Registration {
		p.reach[e.PBX+"/"+e.Name] = e.Value
		return
	}
	p.state[e.PBX+"/"+e.Name] = e.Value
}

// forget drops what a PBX told before we lost sight of it.
func (p *phones) forget(pbx string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range []map[string]string{p.state, p.reach} {
		maps.DeleteFunc(m, func(k, _ string) bool { return strings.HasPrefix(k, pbx+"/") })
	}
}

// dndOf returns whose do-not-disturb a device state tells, and whether it is
// on; ok is false for every other device. The PBX keeps the switch as a device
// of its own, so that phones and dialplans can turn it, too (M-0.9).
func dndOf(e bridge.Event) (ext string, on, ok bool) {
	ext, ok = strings.CutPrefix(e.Name, "Stasis:dnd-")
	return ext, e.Value == "busy", ok && e.Kind == bridge.DeviceState && ext != ""
}

// knows says whether the PBX ever told us about the phone's registration.
func (p *phones) knows(pbx, ext string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, ok := p.reach[pbx+"/"+ext]
	return ok
}

// busy says that the phone is in a call, with us or without.
func (p *phones) busy(pbx, ext string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch p.state[pbx+"/"+ext] {
	case "inuse", "busy", "onhold", "ringinuse":
		return true
	}
	return false
}

// offline says that the PBX told us that the phone is not registered.
func (p *phones) offline(pbx, ext string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.reach[pbx+"/"+ext] == "offline"
}
