package crm

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"callbridge/bridge/fault"
)

const (
	defaultTimeout = 15 * time.Second
	maxAnswer      = 1 << 20
	// defaultSlowDown is how long to wait after 429 when the server does not say.
	defaultSlowDown = 10 * time.Second
)

// API is the one way an adapter talks to its CRM over HTTP. It gives every
// request a deadline, keeps the vendor's rate, bounds and decodes the answer,
// turns every failure into a *fault.Error without secrets, counts the request
// (Env.Observe) and notes it in the Trace of the context. The adapter adds
// only the vendor's words (APIOptions.Classify). It is safe for concurrent use.
type API struct {
	env    Env
	opts   APIOptions
	client *http.Client
	mask   masker
	limits []*budget
}

// APIOptions is what differs from vendor to vendor.
type APIOptions struct {
	Name    string   // the driver's name, in front of every operation
	Base    string   // address without trailing slash; Request.Path is added to it
	Secrets []string // never shown; API.AddSecret adds rotated ones
	// Authorize adds the credentials to a request; it runs for every request.
	Authorize func(*http.Request)
	// Classify says what an answer means in the vendor's words: "auth", "slow
	// down", "duplicate". It sees every answer, 2xx too (some vendors refuse
	// with 200). nil leaves the answer to the rules of HTTP. Op and Status
	// need not be filled. A sentinel wrapped in Err is found by errors.Is.
	Classify func(Answer) *fault.Error
	Timeout  time.Duration // per request; 0: 15 s. A shorter deadline of the context wins
	Limits   []Limit       // client-side rates; the longest prefix of the path counts
	SlowDown time.Duration // wait after 429 without Retry-After; 0: 10 s
}

// Limit is a rate for all paths that begin with Prefix. Within any second
// PerSecond+Burst requests at most are sent.
type Limit struct {
	Prefix    string
	PerSecond float64
	Burst     int // 0 means 1: evenly spaced
}

// Request is one request. Form and JSON exclude each other; Body goes with
// ContentType.
type Request struct {
	Op     string // what we want, in words and from a closed list (it is a metric label): "create customer"
	Method string // "" means GET
	Path   string // after APIOptions.Base, with leading slash
	Query  url.Values
	Form   url.Values
	JSON   any
	// Body and ContentType send anything else.
	Body        []byte
	ContentType string
	Header      http.Header
	// Safe: though not a GET, a repeat changes nothing (search by POST, log in),
	// so a lost answer is Temporary and not Uncertain.
	Safe bool
	// Hidden keeps both bodies out of the trace (log in).
	Hidden bool
}

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// write says whether a repeat of r might do it twice.
func (r Request) write() bool {
	m := r.method()
	return m != http.MethodGet && m != http.MethodHead && !r.Safe
}

// Answer is a complete answer, for APIOptions.Classify.
type Answer struct {
	Op     string
	Path   string
	Write  bool // not a read: what happened is not clear when Status is 5xx
	Status int
	Header http.Header
	Body   []byte
}

// IsHTML says that a web page came where JSON was expected.
func (a Answer) IsHTML() bool {
	return bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<"))
}

// NewAPI makes an API; it does no network I/O.
func NewAPI(env Env, opts APIOptions) *API {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.SlowDown <= 0 {
		opts.SlowDown = defaultSlowDown
	}
	opts.Base = strings.TrimRight(opts.Base, "/")
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	a := &API{env: env, opts: opts}
	hc := http.Client{}
	if env.HTTP != nil {
		hc = *env.HTTP
	}
	// A redirect turns POST into GET and may carry our key to another host.
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a.client = &hc
	for _, s := range opts.Secrets {
		a.mask.add(s)
	}
	for _, l := range opts.Limits {
		a.limits = append(a.limits, newBudget(l, env.Now))
	}
	return a
}

// AddSecret makes s never appear in an error or trace, in any encoding.
func (a *API) AddSecret(s string) { a.mask.add(s) }

// Mask hides secrets, telephone numbers and e-mail addresses in s.
func (a *API) Mask(s string) string { return a.mask.text(s) }

// Do sends r and decodes the JSON answer into out (nil: the answer is not
// looked at). What the answer does not hold stays as it is in out. Every
// error is a *fault.Error.
func (a *API) Do(ctx context.Context, r Request, out any) error {
	req, shown, err := a.build(ctx, r)
	if err != nil {
		return a.fault(fault.Invalid, r, 0, err)
	}
	if err := a.wait(ctx, req.URL.Path); err != nil {
		return a.waitFault(r, err)
	}
	if err := passGate(ctx); err != nil {
		return a.fault(fault.Auth, r, 0, fmt.Errorf("not sent: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	var end func(int, error)
	if a.env.Follow != nil {
		ctx, end = a.env.Follow(ctx, r.Op, req.Header.Get("X-Request-Id"))
	}
	sent := &sentTrace{}
	req = req.WithContext(httptrace.WithClientTrace(ctx, sent.hooks()))

	began := a.env.Now()
	ans, err := a.roundTrip(req, r)
	if err == nil {
		err = a.judge(r, ans)
	} else {
		err = a.lost(r, ans.Status, err, sent)
	}
	if err == nil && out != nil {
		if e := json.Unmarshal(ans.Body, out); e != nil {
			err = a.fault(r.unsure(), r, ans.Status, fmt.Errorf("cannot read the answer: %w", e))
		}
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.RateLimited {
		if b := a.budgetOf(req.URL.Path); b != nil {
			b.slow(e.After)
		}
	}
	took := a.env.Now().Sub(began)
	if a.env.Observe != nil {
		a.env.Observe(r.Op, ans.Status, took)
	}
	if end != nil {
		end(ans.Status, err)
	}
	a.note(ctx, r, req, shown, ans, took, err)
	a.env.Log.DebugContext(ctx, "crm request", "integration", a.env.Integration, "op", r.Op, "code", ans.Status, "took", took)
	return err
}

// build makes the request and the text of its body for the trace.
func (a *API) build(ctx context.Context, r Request) (*http.Request, string, error) {
	var body, shown, ctype string
	switch {
	case r.Form != nil:
		body, ctype, shown = r.Form.Encode(), "application/x-www-form-urlencoded", showForm(r.Form)
	case r.JSON != nil:
		b, err := json.Marshal(r.JSON)
		if err != nil {
			return nil, "", fmt.Errorf("cannot write the request: %w", err)
		}
		body, ctype, shown = string(b), "application/json", string(b)
	case r.Body != nil:
		body, ctype, shown = string(r.Body), r.ContentType, string(r.Body)
	}
	target := a.opts.Base + r.Path
	if len(r.Query) > 0 {
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		target += sep + r.Query.Encode()
	}
	var rd io.Reader
	if body != "" || ctype != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method(), target, rd)
	if err != nil {
		return nil, "", fmt.Errorf("wrong address: %w", err)
	}
	if ctype != "" {
		req.Header.Set("Content-Type", ctype)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Callbridge")
	req.Header.Set("X-Request-Id", RequestID(ctx))
	for k, v := range r.Header {
		req.Header[k] = v
	}
	if a.opts.Authorize != nil {
		a.opts.Authorize(req)
	}
	return req, shown, nil
}

// wait keeps the vendor's rate.
func (a *API) wait(ctx context.Context, path string) error {
	if b := a.budgetOf(path); b != nil {
		return b.wait(ctx)
	}
	return ctx.Err()
}

func (a *API) waitFault(r Request, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return a.fault(fault.Temporary, r, 0, fmt.Errorf("not sent: %w", err))
	}
	e := a.fault(fault.RateLimited, r, 0, fmt.Errorf("not sent, our own rate limit: %w", err))
	e.After = time.Second
	return e
}

// roundTrip returns the complete answer, or the status of a cut one and the error.
func (a *API) roundTrip(req *http.Request, r Request) (Answer, error) {
	ans := Answer{Op: r.Op, Path: r.Path, Write: r.write()}
	res, err := a.client.Do(req)
	if err != nil {
		// url.Error repeats the whole address; the cause is enough.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return ans, err
	}
	defer res.Body.Close()
	ans.Status, ans.Header = res.StatusCode, res.Header
	ans.Body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return ans, fmt.Errorf("the answer was cut: %w", err)
	}
	if len(ans.Body) > maxAnswer {
		ans.Body = ans.Body[:maxAnswer]
		return ans, errors.New("the answer is larger than 1 MiB")
	}
	return ans, nil
}

// unsure is the kind of a request that was sent and whose result we do not know.
func (r Request) unsure() fault.Kind {
	if r.write() {
		return fault.Uncertain
	}
	return fault.Temporary
}

// lost judges a request without a complete answer.
func (a *API) lost(r Request, status int, err error, sent *sentTrace) error {
	kind := r.unsure()
	switch {
	case sent.nothing(err):
		kind = fault.Temporary
	case status >= 300 && status < 500:
		// The refusal itself arrived; only its text is missing.
		if k, ok := byStatus(status, r.write()); ok {
			kind = k
		}
	}
	e := a.fault(kind, r, status, err)
	if kind == fault.RateLimited {
		e.After = a.opts.SlowDown
	}
	return e
}

// judge classifies a complete answer; nil means success.
func (a *API) judge(r Request, ans Answer) error {
	if a.opts.Classify != nil {
		if e := a.opts.Classify(ans); e != nil {
			out := a.fault(e.Kind, r, ans.Status, e.Err)
			out.After = e.After
			if out.Kind == fault.RateLimited && out.After == 0 {
				out.After = a.retryAfter(ans.Header)
			}
			return out
		}
	}
	if ans.Status >= 200 && ans.Status < 300 {
		if ans.IsHTML() {
			return a.fault(r.unsure(), r, ans.Status, errors.New("a web page came instead of data; check the address"))
		}
		return nil
	}
	kind, ok := byStatus(ans.Status, r.write())
	if !ok {
		kind = r.unsure()
	}
	text := strings.TrimSpace(string(ans.Body))
	switch {
	case ans.Status >= 300 && ans.Status < 400:
		text = "the address redirects to " + hostOf(ans.Header.Get("Location")) + "; check the address"
	case ans.IsHTML():
		text = "a web page came instead of data; check the address"
	case text == "":
		text = http.StatusText(ans.Status)
	}
	e := a.fault(kind, r, ans.Status, errors.New(cut(text, 300)))
	if kind == fault.RateLimited {
		e.After = a.retryAfter(ans.Header)
	}
	return e
}

// byStatus is what HTTP itself says. false: only the effect of the request decides.
func byStatus(status int, write bool) (fault.Kind, bool) {
	switch {
	case status == http.StatusUnauthorized:
		return fault.Auth, true
	case status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return fault.Forbidden, true
	case status == http.StatusNotFound, status == http.StatusGone:
		return fault.Gone, true
	case status == http.StatusTooManyRequests:
		return fault.RateLimited, true
	case status == http.StatusRequestTimeout:
		return 0, false
	case status >= 300 && status < 400:
		return fault.Temporary, true // nothing was done; the admin may correct the address
	case status >= 400 && status < 500:
		return fault.Invalid, true
	}
	return 0, false
}

// retryAfter reads seconds or a date.
func (a *API) retryAfter(h http.Header) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return max(time.Duration(min(n, 86400))*time.Second, time.Second)
	}
	if t, err := http.ParseTime(s); err == nil {
		if d := t.Sub(a.env.Now()); d > 0 {
			return min(d, 24*time.Hour)
		}
		return time.Second
	}
	return a.opts.SlowDown
}

func (a *API) fault(k fault.Kind, r Request, status int, err error) *fault.Error {
	e := &fault.Error{Kind: k, Op: a.opts.Name + ": " + r.Op, Status: status}
	if err != nil {
		e.Err = &maskedError{text: a.mask.text(err.Error()), cause: err}
	}
	return e
}

// maskedError shows the masked text only, and still answers errors.Is.
type maskedError struct {
	text  string
	cause error
}

func (e *maskedError) Error() string        { return e.text }
func (e *maskedError) Is(target error) bool { return errors.Is(e.cause, target) }

// As tells only what a check wants to know: that the name or the certificate of
// the address is at fault.
func (e *maskedError) As(target any) bool {
	switch target.(type) {
	case **net.DNSError, **tls.CertificateVerificationError:
		return errors.As(e.cause, target)
	}
	return false
}

// GoString keeps the cause, which is not masked, out of %#v.
func (e *maskedError) GoString() string { return e.text }

// Format keeps the cause out of every verb.
func (e *maskedError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.text) }

// sentTrace finds out whether anything of the request can have reached the server.
type sentTrace struct{ asked, got atomic.Bool }

func (s *sentTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { s.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { s.got.Store(true) },
	}
}

func (s *sentTrace) nothing(err error) bool {
	if s.asked.Load() {
		return !s.got.Load()
	}
	// A RoundTripper that does not report: only an error of dialling proves it.
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "another page"
	}
	return u.Host
}
