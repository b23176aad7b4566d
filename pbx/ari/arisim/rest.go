package arisim

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP is the whole PBX: /ari/….
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse < 0 {
		abort(w)
		return
	}
	if !s.waitStall(r.Context().Done()) {
		return
	}
	if refuse > 0 {
		if refuse == http.StatusNotFound { // HTTP is up, ARI is not loaded yet
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(refuse)
			_, _ = io.WriteString(w, "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>")
			return
		}
		say(w, refuse, "Asterisk not booted")
		return
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		user, password, _ = strings.Cut(r.URL.Query().Get("api_key"), ":")
	}
	known := user == s.opt.Username || (s.opt.ReadOnlyUser != "" && user == s.opt.ReadOnlyUser)
	if !known || subtle.ConstantTimeCompare([]byte(password), []byte(s.opt.Password)) != 1 {
		w.Header().Set("WWW-Authenticate", `Basic realm="Asterisk REST Interface"`)
		say(w, http.StatusUnauthorized, "Authentication required")
		return
	}
	if r.URL.Path == "/ari/events" && r.Method == http.MethodGet {
		s.events(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		say(w, http.StatusRequestEntityTooLarge, "Request body too large")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := &recorder{header: http.Header{}}
	if r.Method != http.MethodGet && user == s.opt.ReadOnlyUser {
		say(rec, http.StatusForbidden, "Write access denied")
	} else {
		s.mux.ServeHTTP(rec, r)
	}
	s.mu.Lock()
	s.requests = keepLast(s.requests, Request{Method: r.Method, Path: strings.TrimPrefix(r.URL.EscapedPath(), "/ari"),
		Query: r.URL.RawQuery, Body: string(body), Status: rec.status})
	lost := r.Method != http.MethodGet && s.lose > 0
	if lost {
		s.lose--
	}
	s.mu.Unlock()
	if lost {
		abort(w)
		return
	}
	for k, v := range rec.header {
		w.Header()[k] = v
	}
	if rec.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(rec.body.Len()))
	}
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body.Bytes())
}

// abort cuts the connection without an answer.
func abort(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if c, _, err := h.Hijack(); err == nil {
			_ = c.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// recorder keeps an answer back until it is known whether it gets lost.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(n int) {
	if r.status == 0 {
		r.status = n
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func say(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func done(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }

func (s *Sim) handlers() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("GET /ari/asterisk/ping", s.ping)
	m.HandleFunc("GET /ari/asterisk/info", s.info)
	s.checkHandlers(m)
	m.HandleFunc("GET /ari/channels", s.channels)
	m.HandleFunc("POST /ari/channels", s.originate)
	m.HandleFunc("GET /ari/channels/{id}", s.channel)
	m.HandleFunc("DELETE /ari/channels/{id}", s.hangup)
	m.HandleFunc("GET /ari/channels/{id}/variable", s.getVariable)
	m.HandleFunc("POST /ari/channels/{id}/variable", s.setVariable)
	m.HandleFunc("POST /ari/channels/{id}/continue", s.carryOn)
	m.HandleFunc("GET /ari/bridges", s.bridges)
	m.HandleFunc("GET /ari/endpoints", s.endpoints)
	m.HandleFunc("GET /ari/endpoints/{tech}", s.endpoints)
	m.HandleFunc("GET /ari/endpoints/{tech}/{resource}", s.endpoint)
	m.HandleFunc("GET /ari/deviceStates", s.deviceStates)
	m.HandleFunc("GET /ari/deviceStates/{name}", s.deviceState)
	m.HandleFunc("PUT /ari/deviceStates/{name}", s.setDeviceState)
	m.HandleFunc("DELETE /ari/deviceStates/{name}", s.setDeviceState)
	m.HandleFunc("GET /ari/applications", s.applications)
	m.HandleFunc("GET /ari/applications/{app}", s.application)
	if !s.opt.NoFilter {
		m.HandleFunc("PUT /ari/applications/{app}/eventFilter", s.eventFilter)
	}
	m.HandleFunc("GET /ari/recordings/stored", s.stored)
	m.HandleFunc("GET /ari/recordings/stored/{name}/file", s.recording)
	m.HandleFunc("/ari/", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusNotFound, "Resource not found") })
	return m
}

func (s *Sim) ping(w http.ResponseWriter, _ *http.Request) {
	answer(w, 200, map[string]string{"asterisk_id": asteriskID, "ping": "pong", "timestamp": time.Now().UTC().Format(ariTime)})
}

func (s *Sim) info(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	started := s.started.UTC().Format(ariTime)
	s.mu.Unlock()
	answer(w, 200, map[string]any{
		"build":  map[string]string{"os": "Linux", "kernel": "simulated", "machine": "simulated", "options": "", "date": "", "user": "callbridge"},
		"system": map[string]string{"version": s.opt.Version, "entity_id": asteriskID},
		"config": map[string]any{"name": "", "default_language": "en", "setid": map[string]string{"user": "", "group": ""}},
		"status": map[string]string{"startup_time": started, "last_reload_time": started},
	})
}

func (s *Sim) channels(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := []json.RawMessage{}
	for _, id := range s.order {
		list = append(list, s.json(s.live[id]))
	}
	s.mu.Unlock()
	answer(w, 200, list)
}

func (s *Sim) bridges(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := []json.RawMessage{}
	for _, r := range s.rooms {
		list = append(list, json.RawMessage(r.play.cast.now(r.raw)))
	}
	s.mu.Unlock()
	answer(w, 200, list)
}

// find returns a live channel or says 404. The lock is held when it succeeds.
func (s *Sim) find(w http.ResponseWriter, r *http.Request) *channel {
	s.mu.Lock()
	ch := s.live[r.PathValue("id")]
	if ch == nil {
		s.mu.Unlock()
		say(w, http.StatusNotFound, "Channel not found")
	}
	return ch
}

func (s *Sim) channel(w http.ResponseWriter, r *http.Request) {
	if ch := s.find(w, r); ch != nil {
		j := s.json(ch)
		s.mu.Unlock()
		answer(w, 200, j)
	}
}

func (s *Sim) hangup(w http.ResponseWriter, r *http.Request) {
	if s.asCreated(w, r) {
		return
	}
	if ch := s.find(w, r); ch != nil {
		select {
		case ch.play.kill <- ch.id:
		default: // it is on its way
		}
		s.mu.Unlock()
		done(w)
	}
}

func (s *Sim) getVariable(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("variable")
	if name == "" {
		say(w, http.StatusBadRequest, "Variable name is required")
		return
	}
	if s.asCreated(w, r) {
		return
	}
	ch := s.find(w, r)
	if ch == nil {
		return
	}
	value, ok := ch.vars[name]
	var c struct {
		Vars map[string]string `json:"channelvars"`
	}
	_ = json.Unmarshal(s.json(ch), &c)
	s.mu.Unlock()
	if v := c.Vars[name]; !ok && v != "" {
		value, ok = v, true
	}
	if !ok {
		say(w, http.StatusNotFound, "Provided variable was not found")
		return
	}
	answer(w, 200, map[string]string{"value": value})
}

func (s *Sim) setVariable(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("variable") == "" {
		say(w, http.StatusBadRequest, "Variable name is required")
		return
	}
	ch := s.find(w, r)
	if ch == nil {
		return
	}
	ok := ch.stasis
	if ok {
		ch.vars[q.Get("variable")] = q.Get("value")
	}
	s.mu.Unlock()
	s.stasisAnswer(w, ok)
}

func (s *Sim) carryOn(w http.ResponseWriter, r *http.Request) {
	ch := s.find(w, r)
	if ch == nil {
		return
	}
	ok := ch.stasis
	ch.leave()
	s.mu.Unlock()
	s.stasisAnswer(w, ok)
}

func (s *Sim) stasisAnswer(w http.ResponseWriter, ok bool) {
	if !ok {
		say(w, http.StatusConflict, "Channel not in Stasis application")
		return
	}
	done(w)
}

// endpointJSON describes a phone or the trunk. The lock is held.
func (s *Sim) endpointJSON(resource_ string) map[string]any {
	ids := []string{}
	for _, id := range s.order {
		var c wireChannel
		_ = json.Unmarshal(s.json(s.live[id]), &c)
		if resource(c.Name) == resource_ && strings.HasPrefix(c.Name, "PJSIP/") {
			ids = append(ids, id)
		}
	}
	return map[string]any{"technology": "PJSIP", "resource": resource_, "state": s.phones[resource_], "channel_ids": ids}
}

func (s *Sim) endpoints(w http.ResponseWriter, r *http.Request) {
	list := []any{}
	s.mu.Lock()
	if t := r.PathValue("tech"); t == "" || t == "PJSIP" {
		for _, res := range s.sortedPhones() {
			list = append(list, s.endpointJSON(res))
		}
	}
	s.mu.Unlock()
	answer(w, 200, list)
}

func (s *Sim) sortedPhones() []string {
	var list []string
	for res := range s.phones {
		list = append(list, res)
	}
	slices.Sort(list)
	return list
}

func (s *Sim) endpoint(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	res := r.PathValue("resource")
	_, ok := s.phones[res]
	if !ok || r.PathValue("tech") != "PJSIP" {
		s.mu.Unlock()
		say(w, http.StatusNotFound, "Endpoint not found")
		return
	}
	e := s.endpointJSON(res)
	s.mu.Unlock()
	answer(w, 200, e)
}

func (s *Sim) deviceStates(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := []map[string]string{}
	for n, st := range s.states {
		list = append(list, map[string]string{"name": n, "state": st})
	}
	s.mu.Unlock()
	answer(w, 200, list)
}

func (s *Sim) deviceState(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	s.mu.Lock()
	st, ok := s.states[name]
	if res, phone := strings.CutPrefix(name, "PJSIP/"); !ok && phone && s.phones[res] != "" {
		st = "NOT_INUSE"
		if s.phones[res] != "online" {
			st = "UNAVAILABLE"
		} else if ids := s.endpointJSON(res)["channel_ids"].([]string); len(ids) > 0 {
			st = "INUSE"
		}
	}
	s.mu.Unlock()
	if st == "" {
		st = "UNKNOWN"
	}
	answer(w, 200, map[string]string{"name": name, "state": st})
}

var stateWords = []string{"NOT_INUSE", "INUSE", "BUSY", "INVALID", "UNAVAILABLE", "RINGING", "RINGINUSE", "ONHOLD", "UNKNOWN"}

func (s *Sim) setDeviceState(w http.ResponseWriter, r *http.Request) {
	name, state := r.PathValue("name"), r.URL.Query().Get("deviceState")
	if !strings.HasPrefix(name, "Stasis:") {
		say(w, http.StatusConflict, "Uncontrolled device specified")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.states[name]
	if r.Method == http.MethodDelete {
		if was == "" {
			say(w, http.StatusNotFound, "Device name not found")
			return
		}
		delete(s.states, name)
		state = "NOT_INUSE"
	} else {
		if !slices.Contains(stateWords, state) {
			say(w, http.StatusInternalServerError, "Unknown device")
			return
		}
		s.states[name] = state
	}
	if was != state {
		s.tell("DeviceStateChanged", map[string]any{"device_state": map[string]string{"name": name, "state": state}})
	}
	done(w)
}

// applicationJSON describes a client's application. The lock is held.
func applicationJSON(c *client) map[string]any {
	dis := []map[string]string{}
	for t := range c.disallowed {
		dis = append(dis, map[string]string{"type": t})
	}
	all := func(topic string) []string {
		if c.all {
			return []string{topic}
		}
		return []string{}
	}
	return map[string]any{"name": c.app, "channel_ids": all("__AST_CHANNEL_ALL_TOPIC"), "bridge_ids": all("__AST_BRIDGE_ALL_TOPIC"),
		"endpoint_ids": all("__AST_ENDPOINT_ALL_TOPIC"), "device_names": all("__AST_DEVICE_STATE_ALL_TOPIC"),
		"events_allowed": []string{}, "events_disallowed": dis}
}

func (s *Sim) applications(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := []any{}
	for _, c := range s.apps {
		list = append(list, applicationJSON(c))
	}
	s.mu.Unlock()
	answer(w, 200, list)
}

func (s *Sim) application(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.apps[r.PathValue("app")]
	if c == nil {
		say(w, http.StatusNotFound, "Application does not exist.")
		return
	}
	answer(w, 200, applicationJSON(c))
}

func (s *Sim) eventFilter(w http.ResponseWriter, r *http.Request) {
	var f struct {
		Disallowed []struct {
			Type string `json:"type"`
		} `json:"disallowed"`
	}
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		say(w, http.StatusBadRequest, "Invalid json")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.apps[r.PathValue("app")]
	if c == nil {
		say(w, http.StatusNotFound, "Application does not exist.")
		return
	}
	c.disallowed = map[string]bool{}
	for _, d := range f.Disallowed {
		if d.Type == "" {
			say(w, http.StatusBadRequest, "Bad Request - invalid event filter")
			return
		}
		c.disallowed[d.Type] = true
	}
	answer(w, 200, applicationJSON(c))
}

var callerIDNumber = regexp.MustCompile(`^\s*(?:"?([^"<]*?)"?\s*<([^>]*)>|(\S*))\s*$`)

// originate is POST /channels: the phone rings, and when it is picked up the
// client is called. Parameters come in the query or as JSON, as with the real one.
func (s *Sim) originate(w http.ResponseWriter, r *http.Request) {
	var o struct {
		Endpoint  string            `json:"endpoint"`
		Extension string            `json:"extension"`
		Context   string            `json:"context"`
		CallerID  string            `json:"callerId"`
		ChannelID string            `json:"channelId"`
		App       string            `json:"app"`
		Variables map[string]string `json:"variables"`
	}
	if r.ContentLength != 0 {
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil && err != io.EOF {
			say(w, http.StatusBadRequest, "Invalid json")
			return
		}
	}
	q := r.URL.Query()
	for key, p := range map[string]*string{"endpoint": &o.Endpoint, "extension": &o.Extension, "context": &o.Context,
		"callerId": &o.CallerID, "channelId": &o.ChannelID, "app": &o.App} {
		if v := q.Get(key); v != "" {
			*p = v
		}
	}
	if o.Endpoint == "" {
		say(w, http.StatusBadRequest, "Endpoint must be specified")
		return
	}
	if o.Extension == "" && o.App == "" {
		say(w, http.StatusBadRequest, "Application or extension must be specified")
		return
	}
	tech, phone, _ := strings.Cut(o.Endpoint, "/")
	s.mu.Lock()
	live := o.ChannelID != "" && s.live[o.ChannelID] != nil
	state := s.phones[phone]
	s.mu.Unlock()
	switch {
	case live:
		say(w, http.StatusConflict, "Channel with given unique ID already exists")
		return
	case tech != "PJSIP" || state != "online":
		answer(w, http.StatusInternalServerError, map[string]string{"error": "Allocation failed"})
		return
	}
	name := ""
	if m := callerIDNumber.FindStringSubmatch(o.CallerID); m != nil {
		name = m[1]
	}
	p, err := s.Begin(s.ctx, s.opt.OnOriginate(phone, o.Extension), PlayOptions{
		Client: o.Extension, ClientName: name, Line: o.Variables["CB_CID"], ChannelID: o.ChannelID, ClickID: o.Variables["CB_C2C"],
		Extensions: map[string]string{"101": phone}, Speed: s.opt.OriginateSpeed})
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": "Allocation failed"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.live[p.ID]; ch != nil {
		for k, v := range o.Variables {
			ch.vars[strings.TrimLeft(k, "_")] = v
		}
		answer(w, 200, s.json(ch))
		return
	}
	answer(w, http.StatusInternalServerError, map[string]string{"error": "Allocation failed"})
}

func (s *Sim) stored(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := []map[string]string{}
	for _, n := range s.recordings {
		list = append(list, map[string]string{"name": n, "format": "wav"})
	}
	s.mu.Unlock()
	answer(w, 200, list)
}

func (s *Sim) recording(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ok := slices.Contains(s.recordings, r.PathValue("name"))
	s.mu.Unlock()
	if !ok {
		say(w, http.StatusNotFound, "Recording not found")
		return
	}
	w.Header().Set("Content-Type", "audio/wav")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(wav)
}
