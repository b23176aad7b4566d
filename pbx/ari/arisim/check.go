package arisim

import (
	"net/http"
	"slices"
	"strings"
)

// What an examination before the start asks of an Asterisk: its modules, and
// the dialplan through a channel that is made and never dialled. As on the real
// one, such a channel lives only while somebody listens to its application.

func (s *Sim) checkHandlers(m *http.ServeMux) {
	m.HandleFunc("GET /ari/asterisk/modules/{name}", s.module)
	m.HandleFunc("POST /ari/channels/create", s.create)
}

func (s *Sim) missing(what string) bool { return slices.Contains(s.opt.Missing, what) }

func (s *Sim) module(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if s.missing(name) || !strings.HasSuffix(name, ".so") {
		say(w, http.StatusNotFound, "Module could not be found in running modules")
		return
	}
	answer(w, 200, map[string]any{"name": name, "description": "simulated", "use_count": 0, "status": "Running", "support_level": "core"})
}

func (s *Sim) create(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("endpoint") == "" || q.Get("app") == "" {
		say(w, http.StatusBadRequest, "Endpoint not specified")
		return
	}
	id := q.Get("channelId")
	s.mu.Lock()
	if s.apps[q.Get("app")] != nil {
		s.created[id] = true
	}
	s.mu.Unlock()
	answer(w, 200, map[string]any{"id": id, "name": q.Get("endpoint") + ";1", "state": "Down"})
}

// Undialled returns how many channels were made and not ended.
func (s *Sim) Undialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.created)
}

// asCreated answers for a channel that was never dialled; false: it is another.
func (s *Sim) asCreated(w http.ResponseWriter, r *http.Request) bool {
	id := r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.created[id] {
		return false
	}
	if r.Method == http.MethodDelete {
		delete(s.created, id)
		done(w)
		return true
	}
	value := ""
	if place, ok := strings.CutPrefix(r.URL.Query().Get("variable"), "DIALPLAN_EXISTS("); ok {
		value = "1"
		if s.missing(strings.TrimSuffix(place, ")")) {
			value = "0"
		}
	}
	answer(w, 200, map[string]string{"value": value})
	return true
}
