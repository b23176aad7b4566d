package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/pbx"
)

// recordingLife is how long a link to a recording works: CRMs play from it
// months later.
const recordingLife = 400 * 24 * time.Hour

// linkRenewal is how long before its end a link is renewed.
const linkRenewal = 30 * 24 * time.Hour

// linkUntil is when a link made now ends: the same for all that are made in
// one period, so that a repeat finds what it wrote before.
func linkUntil(ended, now time.Time) time.Time {
	until := ended.Add(recordingLife)
	for until.Sub(now) < linkRenewal {
		until = until.Add(recordingLife)
	}
	return until
}

// recordURL is a signed link to the call's first complete recording, for CRMs.
// It is "" if there is none yet, or if nobody outside could open it.
func (a *App) recordURL(c *bridge.Call) string {
	if a.cfg.PublicURL == "" || c.Outcome != bridge.Answered || len(c.Recordings) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.work), 5*time.Second)
	defer cancel()
	n := a.recorder.ready(ctx, c.ID)
	if n < 0 {
		return ""
	}
	until := linkUntil(c.EndedAt.Time, time.Now()).Unix()
	return fmt.Sprintf("%s/recordings/%s/%d?until=%d&sig=%s", a.cfg.PublicURL, c.ID, n, until, a.sign(c.ID, n, until))
}

func (a *App) sign(call string, n int, until int64) string {
	return signWith(a.opts.Key, call, n, until)
}

// signed says whether a link is ours; those made before a change of the key are.
func (a *App) signed(sig, call string, n int, until int64) bool {
	for _, key := range append([][]byte{a.opts.Key}, a.opts.OldKeys...) {
		if hmac.Equal([]byte(sig), []byte(signWith(key, call, n, until))) {
			return true
		}
	}
	return false
}

func signWith(key []byte, call string, n int, until int64) string {
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "recording\n%s\n%d\n%d", call, n, until)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

// mounts are the handlers of ours beside the pages.
func (a *App) mounts() map[string]http.Handler {
	both := func(path string, h http.HandlerFunc, m map[string]http.Handler) {
		m["GET "+path], m["POST "+path] = h, h // which of them a CRM uses is not documented for all
	}
	m := map[string]http.Handler{"GET /recordings/{call}/{n}": http.HandlerFunc(a.serveRecording), "GET " + echoPath: http.HandlerFunc(a.echo)}
	both("/hooks/{integration}/make-call", a.makeCall, m)
	both("/hooks/{integration}/user-status", a.userStatus, m)
	m["POST /hooks/{integration}/activity"] = http.HandlerFunc(a.moduleActivity)
	m["POST /hooks/{integration}/account"] = http.HandlerFunc(a.moduleAccount)
	return m
}

// serveRecording plays a recording to who has a signed link.
func (a *App) serveRecording(w http.ResponseWriter, r *http.Request) {
	call := r.PathValue("call")
	n, nerr := strconv.Atoi(r.PathValue("n"))
	until, uerr := strconv.ParseInt(r.URL.Query().Get("until"), 10, 64)
	sig := r.URL.Query().Get("sig")
	if nerr != nil || uerr != nil || !a.signed(sig, call, n, until) {
		http.Error(w, "this link is not valid", http.StatusForbidden)
		return
	}
	if time.Now().Unix() > until {
		http.Error(w, "This link has run out; the CRM gets a new one while the recording is kept. Sign in to hear it: "+strings.TrimRight(a.cfg.PublicURL, "/")+"/calls/"+call, http.StatusGone)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	c, err := site{a}.Call(ctx, call)
	if err != nil {
		http.Error(w, "no such recording", http.StatusNotFound)
		return
	}
	a.playCall(w, r.WithContext(ctx), c, n)
}

// playCall plays a recording to one who may hear it: the caller has made sure.
func (a *App) playCall(w http.ResponseWriter, r *http.Request, c bridge.Call, n int) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if n < 0 || n >= len(c.Recordings) {
		http.Error(w, "no such recording", http.StatusNotFound)
		return
	}
	p := a.pbx(c.PBX)
	if p == nil {
		http.Error(w, "the PBX of this call is not configured any more", http.StatusNotFound)
		return
	}
	rec, ok := p.stream.(pbx.Recordings)
	if !ok {
		http.Error(w, "the PBX of this call gives no recordings", http.StatusNotFound)
		return
	}
	a.play(ctx, w, r, rec, c.Recordings[n].Name)
}

// play copies the recording into a temporary file first, so that players can
// ask for parts of it (Range).
func (a *App) play(ctx context.Context, w http.ResponseWriter, r *http.Request, rec pbx.Recordings, name string) {
	body, kind, _, err := rec.OpenRecording(ctx, name)
	if errors.Is(err, pbx.ErrNotFound) {
		http.Error(w, "the PBX does not have this recording (any more)", http.StatusNotFound)
		return
	}
	if err != nil {
		a.log.Warn("a recording could not be read", "err", err)
		http.Error(w, "the PBX cannot be reached", http.StatusBadGateway)
		return
	}
	defer func() { _ = body.Close() }()
	f, err := os.CreateTemp("", "callbridge-recording-")
	if err != nil {
		http.Error(w, "no room for the recording", http.StatusInternalServerError)
		return
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	const limit = 512 << 20
	if n, err := io.Copy(f, io.LimitReader(body, limit+1)); err != nil || n > limit {
		a.log.Warn("a recording could not be copied", "bytes", n, "err", err)
		http.Error(w, "the recording could not be read", http.StatusBadGateway)
		return
	}
	sendSound(w, r, f, kind)
}

// sendSound answers with a file or the parts of it that the player asks for.
func sendSound(w http.ResponseWriter, r *http.Request, f io.ReadSeeker, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=3600")
	http.ServeContent(w, r, "", time.Time{}, f)
}
