package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"callbridge/bridge"
	"callbridge/pbx"
)

func (s *server) apiSession(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Login    string `json:"login"`
		Password string `json:"password"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Login == "" {
		return invalid("login", "missing")
	}
	if in.Password == "" {
		return invalid("password", "missing")
	}
	token, user, err := s.signIn(r, in.Login, in.Password)
	if err != nil {
		return err
	}
	writeJSON(w, 201, map[string]any{"token": token, "login": user.Login, "role": user.Role,
		"expires_at": bridge.At(time.Now().Add(s.d.SessionAge))})
	return nil
}

func (s *server) apiMe(w http.ResponseWriter, r *http.Request) error {
	v := who(r)
	writeJSON(w, 200, map[string]any{"login": v.user.Login, "name": v.user.Name, "role": v.user.Role,
		"extension": v.user.Extension, "language": s.language(r), "dnd": s.dnd(r.Context(), v.user.Extension)})
	return nil
}

// dnd asks the PBX side; if that fails, what browsers were told last holds.
func (s *server) dnd(ctx context.Context, ext string) bool {
	if s.d.Presence != nil && ext != "" {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if on, err := s.d.Presence.DoNotDisturb(ctx, ext); err == nil {
			s.d.Hub.SetDND(ext, on)
			return on
		}
	}
	return s.d.Hub.DND(ext)
}

func (s *server) apiDND(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		On *bool `json:"on"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	v := who(r)
	switch {
	case in.On == nil:
		return invalid("on", "missing")
	case s.d.Presence == nil:
		return &apiError{Status: 501, Code: "no_presence"}
	case v.user.Extension == "":
		return &apiError{Status: 409, Code: "no_extension"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if err := s.d.Presence.SetDoNotDisturb(ctx, v.user.Extension, *in.On); err != nil {
		return s.refused(err)
	}
	s.d.Hub.SetDND(v.user.Extension, *in.On)
	writeJSON(w, 200, map[string]any{"dnd": *in.On})
	return nil
}

// refused turns what the PBX side refused into an answer in words.
func (s *server) refused(err error) error {
	ref, ok := errors.AsType[*pbx.Refusal](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			return &apiError{Status: 409, Code: "pbx_unreachable"}
		}
		return err
	}
	e := &apiError{Status: 409, Code: ref.Code}
	switch ref.Code {
	case "unknown_number":
		e.Status, e.Field = 422, "number"
	case "unknown_extension":
		e.Status, e.Field = 422, "extension"
	}
	if !known("error." + ref.Code) {
		e.Text = ref.Text
	}
	return e
}

func (s *server) apiDial(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		RequestID string `json:"request_id"`
		Number    string `json:"number"`
		Extension string `json:"extension"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	v := who(r)
	in.Number = strings.TrimSpace(in.Number)
	switch {
	case in.RequestID == "":
		return invalid("request_id", "missing")
	case len(in.RequestID) > 64 || strings.ContainsFunc(in.RequestID, func(c rune) bool { return c <= ' ' || c > '~' }):
		return invalid("request_id", "bad_request_id")
	case in.Number == "":
		return invalid("number", "missing")
	case !dialable(in.Number):
		return invalid("number", "unknown_number")
	case len(in.Extension) > 32:
		return invalid("extension", "unknown_extension")
	}
	if in.Extension == "" {
		in.Extension = v.user.Extension
	}
	switch {
	case in.Extension == "":
		return &apiError{Status: 422, Code: "no_extension", Field: "extension"}
	case v.isAgent() && in.Extension != v.user.Extension:
		return &apiError{Status: 403, Code: "not_your_phone", Field: "extension"}
	case s.d.Dialer == nil:
		return &apiError{Status: 501, Code: "no_dialer"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 15*time.Second)
	defer cancel()
	done, err := s.d.Dialer.Dial(ctx, Click{RequestID: in.RequestID, Extension: in.Extension, Number: in.Number, User: v.user.Login})
	if err != nil {
		return s.refused(err)
	}
	writeJSON(w, 202, map[string]any{"request_id": in.RequestID, "call": done})
	return nil
}

// dialable says whether text can be a number at all: at least two digits, and
// nothing but what people write around them.
func dialable(text string) bool {
	digits := 0
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case strings.ContainsRune("+()-. *#\u00a0\u2011\u2013/", c):
		case unicode.IsSpace(c):
		default:
			return false
		}
	}
	return digits >= 2 && len(text) <= 40
}

// onlyDigits keeps the digits of a text: part of a number is searched by them.
func onlyDigits(t string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, t)
}

// limit reads ?limit=.
func limit(r *http.Request, dflt int) (int, error) {
	t := r.URL.Query().Get("limit")
	if t == "" {
		return dflt, nil
	}
	n, err := strconv.Atoi(t)
	if err != nil || n < 1 || n > 500 {
		return 0, invalid("limit", "bad_limit")
	}
	return n, nil
}

// callQuery reads the choice of calls from the address and cuts it to what the
// visitor may see.
func (s *server) callQuery(r *http.Request, dflt int) (CallQuery, error) {
	q, v := r.URL.Query(), who(r)
	n, err := limit(r, dflt)
	if err != nil {
		return CallQuery{}, err
	}
	out := CallQuery{Limit: n, Before: q.Get("before"), Extension: q.Get("extension"),
		Direction: bridge.Direction(q.Get("direction")), Outcome: bridge.Outcome(q.Get("outcome"))}
	if len(out.Before) > 128 {
		return out, invalid("before", "bad_key")
	}
	if !slices.Contains([]bridge.Direction{"", bridge.In, bridge.Out, bridge.Internal}, out.Direction) {
		return out, invalid("direction", "bad_value")
	}
	if !slices.Contains([]bridge.Outcome{"", bridge.Answered, bridge.Missed, bridge.Failed}, out.Outcome) {
		return out, invalid("outcome", "bad_value")
	}
	if t := strings.TrimSpace(q.Get("client")); t != "" {
		if out.Client = s.d.Parse(t); out.Client == "" {
			if out.Digits = onlyDigits(t); len(out.Digits) < 2 || !dialable(t) {
				return out, invalid("client", "unknown_number")
			}
		}
	}
	if out.Line = q.Get("line"); len(out.Line) > 64 {
		return out, invalid("line", "bad_value")
	}
	if t := q.Get("day"); t != "" {
		day, err := time.ParseInLocation(time.DateOnly, t, s.zone(r))
		if err != nil {
			return out, invalid("day", "bad_day")
		}
		out.From, out.To = day, day.AddDate(0, 0, 1)
	}
	for name, into := range map[string]*time.Time{"from": &out.From, "to": &out.To} {
		if t := q.Get(name); t != "" {
			if *into, err = time.Parse(time.RFC3339, t); err != nil {
				if *into, err = time.ParseInLocation(time.DateOnly, t, s.zone(r)); err != nil {
					return out, invalid(name, "bad_time")
				}
			}
		}
	}
	if v.isAgent() {
		if out.Extension != "" && out.Extension != v.user.Extension {
			return out, &apiError{Status: 403, Code: "not_your_phone", Field: "extension"}
		}
		out.Extension = v.user.Extension
	}
	return out, nil
}

func (s *server) apiCalls(w http.ResponseWriter, r *http.Request) error {
	q, err := s.callQuery(r, 50)
	if err != nil {
		return err
	}
	calls, next := []bridge.Call{}, ""
	switch {
	case who(r).isAgent() && q.Extension == "":
	case r.URL.Query().Get("live") != "":
		for _, c := range s.d.Live() {
			if q.Extension == "" || takesPart(&c, q.Extension) {
				calls = append(calls, c)
			}
		}
	default:
		if calls, next, err = s.d.Calls.Calls(r.Context(), q); err != nil {
			return err
		}
		if calls == nil {
			calls = []bridge.Call{}
		}
	}
	writeJSON(w, 200, map[string]any{"calls": unnamed(r.Context(), calls), "next": next})
	return nil
}

// takesPart says whether a phone had anything to do with a call.
func takesPart(c *bridge.Call, ext string) bool {
	return ext != "" && (c.Agent == ext || slices.Contains(c.Rang, ext) || slices.Contains(c.AnsweredBy, ext) ||
		slices.ContainsFunc(c.Legs, func(l bridge.Leg) bool { return l.Extension == ext }))
}

// callFull is the call record with what became of it.
type callFull struct {
	bridge.Call
	Deliveries []bridge.Delivery `json:"deliveries"`
	Shown      []shownView       `json:"shown"`
	Routes     []RouteDecision   `json:"routes"`
}

type shownView struct {
	Extension string      `json:"extension"`
	User      string      `json:"user"`
	At        bridge.Time `json:"at"`
	MS        int64       `json:"ms"`
	Visible   bool        `json:"visible"`
}

func (s *server) fullCall(r *http.Request) (callFull, error) {
	out := callFull{Deliveries: []bridge.Delivery{}, Shown: []shownView{}, Routes: []RouteDecision{}}
	v, ctx := who(r), r.Context()
	c, err := s.d.Calls.Call(ctx, r.PathValue("id"))
	if err != nil {
		return out, err
	}
	out.Call = unnamed(ctx, []bridge.Call{c})[0]
	if v.isAgent() && !takesPart(&c, v.user.Extension) {
		return out, ErrNotFound // that it exists is nobody else's business
	}
	if !v.isAgent() {
		list, err := s.d.Ledger.Deliveries(ctx, DeliveryQuery{CallID: c.ID, Limit: 500})
		if err != nil {
			return out, err
		}
		out.Deliveries = append(out.Deliveries, unnamedRows(v, list)...)
		if s.d.Routes != nil {
			routes, err := s.d.Routes(ctx, c)
			if err != nil {
				return out, err
			}
			out.Routes = append(out.Routes, routes...)
		}
	}
	receipts, err := s.d.Calls.Receipts(ctx, c.ID)
	if err != nil {
		return out, err
	}
	for _, x := range receipts {
		if !v.isAgent() || x.Extension == v.user.Extension {
			out.Shown = append(out.Shown, shownView{x.Extension, x.User, bridge.At(x.At), x.Took.Milliseconds(), x.Visible})
		}
	}
	return out, nil
}

func (s *server) apiCall(w http.ResponseWriter, r *http.Request) error {
	c, err := s.fullCall(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, c)
	return nil
}

func (s *server) deliveryQuery(r *http.Request, dflt int) (DeliveryQuery, error) {
	q := r.URL.Query()
	n, err := limit(r, dflt)
	if err != nil {
		return DeliveryQuery{}, err
	}
	out := DeliveryQuery{CallID: q.Get("call"), Integration: q.Get("integration"), State: bridge.DeliveryState(q.Get("state")), Limit: n}
	if out.State != "" && !slices.Contains(bridge.DeliveryStates(), out.State) {
		return out, invalid("state", "bad_value")
	}
	out.Kind, out.Day = bridge.ActionKind(q.Get("kind")), q.Get("day")
	if out.Kind != "" && !slices.Contains(bridge.ActionKinds(), out.Kind) {
		return out, invalid("kind", "bad_value")
	}
	if out.Day != "" {
		if _, err := time.Parse(time.DateOnly, out.Day); err != nil {
			return out, invalid("day", "bad_value")
		}
	}
	if t := q.Get("before"); t != "" {
		if out.Before, err = strconv.ParseInt(t, 10, 64); err != nil || out.Before < 1 {
			return out, invalid("before", "bad_key")
		}
	}
	return out, nil
}

func (s *server) apiDeliveries(w http.ResponseWriter, r *http.Request) error {
	q, err := s.deliveryQuery(r, 100)
	if err != nil {
		return err
	}
	list, err := s.d.Ledger.Deliveries(r.Context(), q)
	if err != nil {
		return err
	}
	next := ""
	if len(list) == q.Limit && q.CallID == "" {
		next = strconv.FormatInt(list[len(list)-1].ID, 10)
	}
	writeJSON(w, 200, map[string]any{"deliveries": append([]bridge.Delivery{}, unnamedRows(who(r), list)...), "next": next})
	return nil
}

// days reads ?from= and ?to= as calendar days; the last seven by default.
func (s *server) days(r *http.Request) (string, string, error) {
	q, today := r.URL.Query(), time.Now().In(s.d.Zone)
	from, to := q.Get("from"), q.Get("to")
	if to == "" {
		to = today.Format(time.DateOnly)
	}
	if from == "" {
		from = today.AddDate(0, 0, -6).Format(time.DateOnly)
	}
	for name, v := range map[string]string{"from": from, "to": to} {
		if _, err := time.Parse(time.DateOnly, v); err != nil {
			return "", "", invalid(name, "bad_day")
		}
	}
	return from, to, nil
}

func (s *server) balance(r *http.Request) ([]LedgerRow, string, string, error) {
	from, to, err := s.days(r)
	if err != nil {
		return nil, from, to, err
	}
	rows, err := s.d.Ledger.Balance(r.Context(), from, to)
	slices.SortStableFunc(rows, func(a, b LedgerRow) int {
		if n := strings.Compare(b.Day, a.Day); n != 0 {
			return n
		}
		return strings.Compare(a.Integration, b.Integration)
	})
	return rows, from, to, err
}

func (s *server) apiLedger(w http.ResponseWriter, r *http.Request) error {
	rows, _, _, err := s.balance(r)
	if err != nil {
		return err
	}
	type row struct {
		LedgerRow
		Imbalance int64 `json:"imbalance"`
	}
	out, bad := []row{}, int64(0)
	for _, x := range rows {
		n := x.Imbalance()
		bad += max(n, -n)
		out = append(out, row{x, n})
	}
	writeJSON(w, 200, map[string]any{"ledger": out, "imbalance": bad})
	return nil
}

func (s *server) integrations(ctx context.Context) ([]Integration, error) {
	if s.d.Integrations == nil {
		return []Integration{}, nil
	}
	list, err := s.d.Integrations(ctx)
	return append([]Integration{}, list...), err
}

func (s *server) apiIntegrations(w http.ResponseWriter, r *http.Request) error {
	list, err := s.integrations(r.Context())
	if err != nil {
		return err
	}
	pbxs := []PBX{}
	if s.d.PBXs != nil {
		pbxs = append(pbxs, s.d.PBXs()...)
	}
	writeJSON(w, 200, map[string]any{"integrations": list, "pbx": pbxs})
	return nil
}

func (s *server) apiDocument(w http.ResponseWriter, _ *http.Request) error {
	b, err := files.ReadFile("openapi.json")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(b)
	return nil
}

// routeAnswer tells a PBX who should take a call. It always answers in time:
// an empty text sends the call into the PBX's own scenario.
func (s *server) routeAnswer(w http.ResponseWriter, r *http.Request) error {
	if s.d.Route == nil {
		return ErrNotFound
	}
	q := r.URL.Query()
	in := RouteQuestion{PBX: r.PathValue("pbx"), Number: q.Get("number"), Line: q.Get("line"), Secret: q.Get("secret"), CallID: q.Get("call")}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		in.Secret = token
	}
	if len(in.Number) > 64 || len(in.Line) > 64 || len(in.CallID) > 128 {
		return invalid("number", "unknown_number")
	}
	ctx, cancel := context.WithTimeout(r.Context(), routeLimit)
	defer cancel()
	type answer struct {
		a   RouteAnswer
		err error
	}
	got := make(chan answer, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				s.log.Error("routing failed", "err", v)
				got <- answer{RouteAnswer{Reason: "error"}, nil}
			}
		}()
		a, err := s.d.Route(ctx, in)
		got <- answer{a, err}
	}()
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		a.a.Reason = "timeout"
	}
	switch {
	case errors.Is(a.err, ErrForbidden):
		return &apiError{Status: 401, Code: "wrong_secret"}
	case errors.Is(a.err, ErrNotFound):
		return ErrNotFound
	case a.err != nil:
		s.log.Warn("routing failed", "pbx", in.PBX, "err", a.err)
		a.a = RouteAnswer{Reason: "error"}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.a.Reason != "" {
		w.Header().Set("X-Callbridge-Reason", strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return '?'
			}
			return c
		}, a.a.Reason))
	}
	_, _ = w.Write([]byte(a.a.Extension))
	return nil
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, 200, map[string]any{"ok": true, "version": s.d.Version})
	return nil
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	missing := []string{}
	if s.d.Missing != nil {
		missing = append(missing, s.d.Missing(ctx)...)
	}
	status := 200
	if len(missing) > 0 {
		status = 503
	}
	writeJSON(w, status, map[string]any{"ready": len(missing) == 0, "missing": missing})
	return nil
}
