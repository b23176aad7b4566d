package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
)

// Transport calls h without a network, so that a simulated CRM works inside a
// testing/synctest bubble. A handler that aborts gives a cut connection, and a
// hanging one lasts as long as the request's context.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ h http.Handler }

type result struct {
	res *http.Response
	err error
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	in := req.Clone(req.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.RemoteAddr = "127.0.0.1:1"
	in.RequestURI = req.URL.RequestURI()
	in.Host = req.URL.Host
	done := make(chan result, 1)
	go func() { done <- t.call(in) }()
	select {
	case r := <-done:
		if r.res != nil {
			r.res.Request = req
		}
		return r.res, r.err
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

func (t transport) call(in *http.Request) (out result) {
	rec := httptest.NewRecorder()
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			if rec.Flushed { // the head and a part of the body went out
				out.res = rec.Result()
				out.res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(rec.Body.Bytes()), cutReader{}))
				return
			}
			out = result{err: io.ErrUnexpectedEOF}
		default:
			panic(p)
		}
	}()
	t.h.ServeHTTP(rec, in)
	return result{res: rec.Result()}
}

type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
