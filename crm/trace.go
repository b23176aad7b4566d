package crm

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	mask          = "••••••"
	maxShown      = 4 << 10
	keptExchanges = 20
)

// Exchange is one request with its answer, masked and cut, as the ledger
// shows it (F-3).
type Exchange struct {
	Op       string        `json:"op"`
	Method   string        `json:"method"`
	Path     string        `json:"path"`
	Request  string        `json:"request,omitempty"`
	Response string        `json:"response,omitempty"`
	Status   int           `json:"status"` // 0: no answer
	Took     time.Duration `json:"took"`
	Error    string        `json:"error,omitempty"`
}

// Trace collects the exchanges made under one context, the last 20.
type Trace struct {
	mu  sync.Mutex
	all []Exchange
}

type traceKey struct{}

// WithTrace makes every request under the returned context leave an Exchange in t.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// Exchanges returns what was collected, oldest first.
func (t *Trace) Exchanges() []Exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

func (t *Trace) add(e Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) == keptExchanges {
		t.all = slices.Delete(t.all, 0, 1)
	}
	t.all = append(t.all, e)
}

func (a *API) note(ctx context.Context, r Request, req *http.Request, shown string, ans Answer, took time.Duration, err error) {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	if t == nil {
		return
	}
	path := req.URL.EscapedPath()
	if q := req.URL.Query(); len(q) > 0 {
		path += "?" + showForm(q)
	}
	e := Exchange{Op: r.Op, Method: req.Method, Path: cut(a.mask.text(path), maxShown), Status: ans.Status, Took: took}
	if r.Hidden {
		shown, ans.Body = "", nil
	}
	// Masked before it is cut, so that no half of a secret is left at the end.
	e.Request = cut(a.mask.text(shown), maxShown)
	e.Response = cut(a.mask.text(readable(ans.Body)), maxShown)
	if err != nil {
		e.Error = err.Error()
	}
	t.add(e)
}

// showForm writes a form for people: sorted, without percent signs.
func showForm(v url.Values) string {
	var parts []string
	for k, vals := range v {
		for _, s := range vals {
			parts = append(parts, k+"="+s)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// readable undoes the \u0430 that PHP servers write, where the body is JSON.
func readable(b []byte) string {
	if len(b) > 64<<10 {
		b = b[:64<<10] // four times cut's limit even if every letter is escaped
	}
	if !strings.Contains(string(b), `\u`) {
		return strings.ToValidUTF8(string(b), "?")
	}
	return escaped.ReplaceAllStringFunc(strings.ToValidUTF8(string(b), "?"), func(s string) string {
		var out string
		if json.Unmarshal([]byte(`"`+s+`"`), &out) != nil || strings.ContainsAny(out, "\"\\\x00\n\r") {
			return s
		}
		return out
	})
}

var escaped = regexp.MustCompile(`(?:\\u[0-9a-fA-F]{4})+`)

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// masker hides secrets in every encoding they may appear in, and what is
// personal: telephone numbers and e-mail addresses.
type masker struct {
	mu    sync.RWMutex
	forms []string // longest first, so that no part of one is left
}

func (m *masker) add(s string) {
	if s == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	quoted, _ := json.Marshal(s)
	for _, f := range []string{
		s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s)),
	} {
		if !slices.Contains(m.forms, f) {
			m.forms = append(m.forms, f)
		}
	}
	slices.SortStableFunc(m.forms, func(a, b string) int { return len(b) - len(a) })
}

var (
	spelledNumber = regexp.MustCompile(`\+?\b[78][ \-(]*\d{3}[ \-)]*\d{3}[ \-]*\d{2}[ \-]*\d{2}\b|\+?\b\d{10,15}\b`)
	email         = regexp.MustCompile(`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`)
)

func (m *masker) text(s string) string {
	m.mu.RLock()
	for _, f := range m.forms {
		s = strings.ReplaceAll(s, f, mask)
	}
	m.mu.RUnlock()
	if strings.IndexByte(s, '@') >= 0 {
		s = email.ReplaceAllStringFunc(s, func(e string) string {
			_, n := utf8.DecodeRuneInString(e)
			return e[:n] + "***" + e[strings.LastIndexByte(e, '@'):]
		})
	}
	return maskNumbers(s)
}

// maskNumbers looks for numbers only where enough digits stand together: most
// of a body is names and braces, and the expression is slow.
func maskNumbers(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !dialled(s[i]) {
			i++
			continue
		}
		from, digits := i, 0
		for ; i < len(s) && dialled(s[i]); i++ {
			if s[i] >= '0' && s[i] <= '9' {
				digits++
			}
		}
		if digits < 10 {
			continue
		}
		// With its neighbours, which say where words begin and end and are no
		// part of a number.
		lo, hi := max(from-1, 0), min(i+1, len(s))
		masked := spelledNumber.ReplaceAllStringFunc(s[lo:hi], func(n string) string {
			if len(n) < 10 {
				return n
			}
			return n[:min(5, len(n)-4)] + "***" + n[len(n)-4:]
		})
		b.WriteString(s[done:from])
		b.WriteString(masked[from-lo : len(masked)-(hi-i)])
		done = i
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// dialled says whether a number may be written with c.
func dialled(c byte) bool {
	return c >= '0' && c <= '9' || c == '+' || c == ' ' || c == '-' || c == '(' || c == ')'
}
