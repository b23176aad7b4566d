package app

import (
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

// offline says that the PBX told us that the phone is not registered.
func (p *phones) offline(pbx, ext string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.reach[pbx+"/"+ext] == "offline"
}
