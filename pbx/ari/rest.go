package ari

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"callbridge/bridge/fault"
)

const (
	requestTime  = 2 * time.Second // for one request with its answer
	maxAnswer    = 16 << 20        // GET /channels of thousands of channels
	maxComplaint = 4 << 10         // an error body may be HTML
)

func newHTTPClient(d Deps) *http.Client {
	return &http.Client{
		// sessionlimit in http.conf counts connections: keep few.
		Transport: &http.Transport{
			DialContext:           d.DialContext,
			TLSClientConfig:       d.TLS,
			MaxIdleConns:          8,
			MaxIdleConnsPerHost:   8,
			MaxConnsPerHost:       32,
			IdleConnTimeout:       60 * time.Second,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: 5 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request is one REST call. path begins with a slash and is already escaped.
type request struct {
	op     string // for errors and metrics: a closed list
	method string
	path   string
	query  url.Values
	body   any // sent as JSON, if not nil
	out    any // *[]byte takes the body as it is, anything else is decoded from JSON
}

// do makes one request. Every error is a *fault.Error.
func (p *PBX) do(ctx context.Context, r request) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	resp, err := p.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return &fault.Error{Kind: unanswered(r.method), Op: "ari: " + r.op, Status: resp.StatusCode, Err: errors.New("the answer was cut off")}
	case len(body) > maxAnswer:
		return &fault.Error{Kind: fault.Invalid, Op: "ari: " + r.op, Status: resp.StatusCode, Err: errors.New("the answer is too long")}
	}
	switch out := r.out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = body
		return nil
	}
	if err := json.Unmarshal(body, r.out); err != nil {
		return &fault.Error{Kind: fault.Temporary, Op: "ari: " + r.op, Status: resp.StatusCode, Err: errors.New("the answer is not the JSON we expect: " + err.Error())}
	}
	return nil
}

// send makes one request and returns a good answer with its body unread.
func (p *PBX) send(ctx context.Context, r request) (*http.Response, error) {
	began := time.Now()
	resp, err := p.attempt(ctx, r)
	status := 0
	if resp != nil {
		status = resp.StatusCode
		p.clock.date(resp.Header.Get("Date"), time.Now())
	}
	if p.hook.Request != nil {
		p.hook.Request(r.op, status, time.Since(began))
	}
	if err != nil {
		return nil, err
	}
	if status >= 200 && status < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	return nil, &fault.Error{Kind: kindOf(status), Op: "ari: " + r.op, Status: status, Err: errors.New(complaint(text))}
}

func (p *PBX) attempt(ctx context.Context, r request) (*http.Response, error) {
	op := "ari: " + r.op
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, &fault.Error{Kind: fault.Invalid, Op: op, Err: err}
		}
		body = bytes.NewReader(b)
	}
	address := p.base.String() + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Op: op, Err: errors.New("the request cannot be made: " + err.Error())}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetBasicAuth(p.cfg.Username, p.cfg.Password)
	resp, err := p.http.Do(req)
	if err != nil {
		kind := fault.Temporary
		if sent.Load() {
			kind = unanswered(r.method)
		}
		return nil, &fault.Error{Kind: kind, Op: op, Err: plain(err)}
	}
	return resp, nil
}

// unanswered is the kind of a request that was sent and got no answer: only a
// reading one may be repeated without looking.
func unanswered(method string) fault.Kind {
	if method == http.MethodGet {
		return fault.Temporary
	}
	return fault.Uncertain
}

func kindOf(status int) fault.Kind {
	switch {
	case status == http.StatusUnauthorized:
		return fault.Auth
	case status == http.StatusForbidden:
		return fault.Forbidden
	case status == http.StatusNotFound:
		return fault.Gone
	case status == http.StatusTooManyRequests:
		return fault.RateLimited
	case status >= 500:
		return fault.Temporary
	}
	return fault.Invalid
}

// complaint finds the sentence in an error body: JSON with message or error, or anything.
func complaint(body []byte) string {
	var j struct{ Message, Error string }
	if json.Unmarshal(body, &j) == nil && j.Message+j.Error != "" {
		return j.Message + j.Error
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "?")), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	if text == "" {
		return "no reason given"
	}
	return text
}

// plain takes the address out of a network error, since it stands in the
// configuration and makes every message long.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

// statusOf returns the HTTP status of a failed request, 0 if there was no answer.
func statusOf(err error) int {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Status
	}
	return 0
}
