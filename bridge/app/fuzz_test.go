package app

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzSignedLink: a link to a recording holds only as it was signed.
func FuzzSignedLink(f *testing.F) {
	a := &App{opts: Options{Key: bytes.Repeat([]byte{7}, 32)}}
	good := a.sign("01M", 1, 1795323683)
	f.Add(good, "01M", 1, int64(1795323683))
	f.Add(good, "01M", 0, int64(1795323683))
	f.Add(strings.ToUpper(good), "01M", 1, int64(1795323683))
	f.Add("", "", 0, int64(0))
	f.Add(a.sign("01M:1", 1, 5), "01M", 11, int64(5))
	f.Fuzz(func(t *testing.T, sig, call string, n int, until int64) {
		if want := a.sign(call, n, until) == sig; a.signed(sig, call, n, until) != want {
			t.Errorf("signature %q of %q %d %d: %v", sig, call, n, until, !want)
		}
		if (call != "01M" || n != 1 || until != 1795323683) && a.signed(good, call, n, until) {
			t.Errorf("the signature of another link holds for %q %d %d", call, n, until)
		}
	})
}

// FuzzVisitor: nobody can say that he is somebody else, unless a trusted proxy
// says so for him.
func FuzzVisitor(f *testing.F) {
	f.Add("127.0.0.1:5", "1.2.3.4, 10.0.0.1")
	f.Add("9.9.9.9:5", "1.2.3.4")
	f.Add("[::1]:5", "::ffff:10.1.2.3,,unknown")
	f.Add("127.0.0.1:5", "fe80::1%eth0, 127.0.0.1")
	trusted := []string{"127.0.0.1", "10.0.0.0/8"}
	f.Fuzz(func(t *testing.T, peer, chain string) {
		ip, err := visitor(peer, []string{chain}, trusted)
		if err != nil {
			return
		}
		if !strings.HasPrefix(peer, "127.0.0.1:") && !strings.HasPrefix(peer, "10.") && !strings.Contains(peer, "::ffff:") {
			t.Errorf("%q is believed by %q", chain, peer)
		}
		if strings.HasPrefix(ip, "10.") || ip == "127.0.0.1" {
			t.Errorf("a proxy, %s, is taken for the visitor", ip)
		}
	})
}

// FuzzRange: whatever part of a recording somebody asks for, he gets bytes of
// it or a refusal.
func FuzzRange(f *testing.F) {
	sound := make([]byte, 4096)
	for i := range sound {
		sound[i] = byte(i * 7)
	}
	for _, s := range []string{"bytes=0-", "bytes=100-199", "bytes=-1", "bytes=4095-4096,0-0", "bytes=9-3", "items=1", "bytes=99999999999999999999-", strings.Repeat("0-0,", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		file, err := os.CreateTemp(t.TempDir(), "sound")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }() // only read
		if _, err := file.Write(sound); err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{"Range": {asked}}}
		w := httptest.NewRecorder()
		sendSound(w, r, file, "audio/wav")
		switch w.Code {
		case http.StatusOK:
			if !bytes.Equal(w.Body.Bytes(), sound) {
				t.Errorf("%q: the whole is not the whole", asked)
			}
		case http.StatusPartialContent:
			var from, to, all int
			s := strings.TrimPrefix(w.Header().Get("Content-Range"), "bytes ")
			if s == "" {
				break // several parts
			}
			span, total, _ := strings.Cut(s, "/")
			a, b, _ := strings.Cut(span, "-")
			from, _ = strconv.Atoi(a)
			to, _ = strconv.Atoi(b)
			if all, _ = strconv.Atoi(total); all != len(sound) || !bytes.Equal(w.Body.Bytes(), sound[from:to+1]) {
				t.Errorf("%q gives %q with %d bytes", asked, s, w.Body.Len())
			}
		case http.StatusRequestedRangeNotSatisfiable, http.StatusBadRequest:
		default:
			t.Errorf("%q: status %d", asked, w.Code)
		}
		if w.Body.Len() > 8*len(sound)+64<<10 {
			t.Errorf("%q makes %d bytes of %d", asked, w.Body.Len(), len(sound))
		}
	})
}

// FuzzHook: what somebody sends to the addresses meant for a CRM is refused,
// and never an error of ours.
func FuzzHook(f *testing.F) {
	a := &App{opts: Options{Key: bytes.Repeat([]byte{7}, 32)}, byID: map[string]*target{}}
	mux := http.NewServeMux()
	for p, h := range map[string]http.HandlerFunc{"/hooks/{integration}/make-call": a.makeCall, "/hooks/{integration}/user-status": a.userStatus} {
		mux.Handle(p, h)
	}
	f.Add("POST", "make-call", "clientId=x&phone=79161234567&userId=1", "application/x-www-form-urlencoded")
	f.Add("POST", "user-status", `{"clientId":1}`, "application/json")
	f.Add("GET", "make-call", "%zz&&;=", "multipart/form-data; boundary=x")
	f.Fuzz(func(t *testing.T, method, which, body, kind string) {
		if which != "make-call" {
			which = "user-status"
		}
		if method != "GET" {
			method = "POST"
		}
		r := httptest.NewRequest(method, "/hooks/nobody/"+which, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		if strings.ContainsFunc(body, func(c rune) bool { return c <= ' ' || c > '~' }) {
			body = url.QueryEscape(body)
		}
		r.URL.RawQuery = body
		w := httptest.NewRecorder()
		began := time.Now()
		mux.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s %q: status %d after %v", method, body, w.Code, time.Since(began))
		}
	})
}
