package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/pbx"
)

// sounds is a PBX with recordings.
type sounds struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (s *sounds) Run(ctx context.Context, _ func(bridge.Event)) error { <-ctx.Done(); return ctx.Err() }

func (s *sounds) OpenRecording(_ context.Context, name string) (io.ReadCloser, string, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[name]
	if !ok || len(f) <= 44 {
		return nil, "", 0, pbx.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(f)), "audio/wav", int64(len(f)), nil
}

func (s *sounds) set(name string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = make([]byte, size)
}

func (b *bureau) withSounds() *sounds {
	s := &sounds{files: map[string][]byte{}}
	b.pbxs = append(b.pbxs, &phoneSystem{id: "office", kind: "asterisk", stream: s, status: func() linkStatus { return linkStatus{connected: true} }})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.recorder.run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-done })
	return s
}

func (b *bureau) callLink() string {
	for _, o := range b.made("call") {
		if o.Value("state") == "finished" {
			return o.Value("record")
		}
	}
	return ""
}

// A recording that is complete at once goes out with the call itself.
func TestD13RecordingGoesWithTheCall(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	b.withSounds().set("g1.wav", 5000)
	r := b.rings("79161234567", "101").after(time.Second).answers("101").after(3 * time.Second)
	r.at = time.Now()
	r.ends()
	all := b.settled(1)
	if d, ok := actionOf(all, bridge.ActRecording); ok {
		t.Errorf("the link was sent once more: %+v", d)
	}
	link := b.callLink()
	if !strings.HasPrefix(link, "https://calls.example.ru/recordings/") {
		t.Fatalf("link %q", link)
	}
	get := func(path string) *http.Response {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Range", "bytes=100-199")
		w := httptest.NewRecorder()
		mux := http.NewServeMux()
		for p, h := range b.mounts() {
			mux.Handle(p, h)
		}
		mux.ServeHTTP(w, req)
		return w.Result()
	}
	path := strings.TrimPrefix(link, "https://calls.example.ru")
	res := get(path)
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusPartialContent || len(body) != 100 {
		t.Errorf("%s, %d bytes", res.Status, len(body))
	}
	if res := get(strings.Replace(path, "sig=", "sig=x", 1)); res.StatusCode != http.StatusForbidden {
		t.Errorf("with a wrong signature: %s", res.Status)
	}
	// After a change of the key what stands in the CRM goes on working.
	b.opts.Key, b.opts.OldKeys = bytes.Repeat([]byte{9}, 32), [][]byte{bytes.Repeat([]byte{8}, 32), b.opts.Key}
	if res := get(path); res.StatusCode != http.StatusPartialContent {
		t.Errorf("a link of an earlier key: %s", res.Status)
	}
	b.opts.OldKeys = b.opts.OldKeys[:1]
	if res := get(path); res.StatusCode != http.StatusForbidden {
		t.Errorf("a link of a key that was never ours: %s", res.Status)
	}
}

// D-13, D-15: a file that is late is awaited until it does not grow any more,
// also over a restart, and the CRM that has the call gets the link then. A
// bare header is no recording.
func TestD13LateRecordingIsAttached(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	s := b.withSounds()
	b.talk("79161234567", "101") // a minute ago: its record does not wait
	b.settled(1)
	if l := b.callLink(); l != "" {
		t.Fatalf("a link to nothing: %q", l)
	}
	s.set("g1.wav", 44)
	stop := make(chan struct{})
	grown := make(chan struct{})
	go func() { // it is being written
		defer close(grown)
		for n := 1000; ; n += 1000 {
			s.set("g1.wav", n)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	<-time.After(1600 * time.Millisecond)
	if l := b.callLink(); l != "" {
		t.Errorf("a link to a file that grows: %q", l)
	}
	close(stop)
	<-grown
	b.eventually("the link is there", func() string {
		if b.callLink() == "" {
			return fmt.Sprint(b.made("call"))
		}
		return ""
	})
	all := b.settled(1)
	if d, ok := actionOf(all, bridge.ActRecording); !ok || d.State != bridge.Done || d.Action.Reason == "" {
		t.Errorf("%+v", d)
	}
	if n := len(b.made("call")); n != 1 {
		t.Errorf("%d calls", n)
	}
	if n, err := b.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Errorf("imbalance %v %v", n, err)
	}
}
