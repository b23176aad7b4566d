package main

import (
	"bytes"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"callbridge/bridge/config"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
)

// shared is a buffer many goroutines write into.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestF22LogsHoldNoPersonalData runs a whole demo at the finest level, with
// calls of all kinds, CRMs that refuse, break and answer nonsense with the
// client's number in it, and looks for numbers and names of clients in the log.
func TestF22LogsHoldNoPersonalData(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			out := &shared{}
			cfg := config.Default()
			cfg.Log = config.Log{Level: "debug", Format: format}
			log, _ := logger(cfg, out)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			d, err := startDemo(t.Context(), log, l)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the daemon is ready", func() bool { return len(d.app.Ready(t.Context())) == 0 })
			play := func(scenario, client string) {
				t.Helper()
				if _, err := d.sim.Play(t.Context(), scenario, arisim.PlayOptions{Client: client, Speed: 20}); err != nil {
					t.Fatal(err)
				}
			}
			clients := []string{"79161234567", "79219998877", "79035554433"}
			for i, s := range []string{"in_answered", "in_noanswer", "out_busy"} {
				play(s, clients[i])
			}
			eventually(t, "calls in retailCRM", func() bool { return made(d.world.retailcrm, "call") >= 3 })
			bad := `{"success":false,"errorMsg":"customer Мария Соколова +7 (916) 123-45-67 is wrong: 79161234567"}`
			d.world.retailcrm.FailNext(3, "POST", sandbox.Fault{Status: http.StatusBadRequest, Body: bad})
			d.world.megaplan.FailNext(2, "POST", sandbox.Fault{Status: http.StatusInternalServerError, Body: bad})
			play("in_answered", clients[0])
			d.world.retailcrm.SetFault(sandbox.Credentials, true)
			d.sim.SendRaw(`{"type":"StasisStart","channel":{"id":"1","name":"PJSIP/trunk-1","caller":{"number":"79161234567","name":"Мария Соколова"`)
			play("in_noanswer", clients[0])
			eventually(t, "the hold is in the log", func() bool { return strings.Contains(out.text(), "refuses the credentials") })
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}

			text := out.text()
			if n := strings.Count(text, "\n"); n < 20 {
				t.Fatalf("only %d lines were logged:\n%s", n, text)
			}
			leaks := []string{"Мария", "Соколов", "Морозов", "Волков", "Лебедев", "Nikolay", "Ромашка", "secret", "sandbox-secret"}
			for _, c := range append(clients, "79261112233", "74957776655") {
				leaks = append(leaks, c[1:])
			}
			gaps := regexp.MustCompile(`[ ()-]`)
			for _, line := range strings.Split(text, "\n") {
				plain := gaps.ReplaceAllString(line, "")
				for _, leak := range leaks {
					if strings.Contains(line, leak) || strings.Contains(plain, leak) {
						t.Errorf("%q stands in the log: %s", leak, line)
					}
				}
			}
		})
	}
}

// TestRequestIDsReachTheCRM: what the log names, the CRM's own log names too.
func TestRequestIDsReachTheCRM(t *testing.T) {
	out := &shared{}
	cfg := config.Default()
	cfg.Log.Level = "debug"
	log, _ := logger(cfg, out)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, err := startDemo(t.Context(), log, l)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.stop() }()
	eventually(t, "the daemon is ready", func() bool { return len(d.app.Ready(t.Context())) == 0 })
	// The upload, and not the registration of the module at the start.
	d.world.retailcrm.FailNext(1, "POST /api/v5/telephony/calls/upload", sandbox.Fault{Status: http.StatusBadRequest, Body: `{"success":false,"errorMsg":"no"}`})
	if _, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 20}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a refusal in the log", func() bool { return strings.Contains(out.text(), "request=cb-delivery-") })
	id := regexp.MustCompile(`request=(cb-delivery-\d+)`).FindStringSubmatch(out.text())[1]
	found := false
	for _, r := range d.world.retailcrm.RequestLog() {
		got := r.Header.Get("X-Request-Id")
		if !strings.HasPrefix(got, "cb-") {
			t.Errorf("%s %s came with the id %q", r.Method, r.Path, got)
		}
		found = found || got == id && r.Status == http.StatusBadRequest
	}
	if !found {
		t.Errorf("the CRM saw no refused request with the id %s", id)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.app.Addr()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "chosen-by-somebody")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	own := res.Header.Get("X-Request-Id")
	if !strings.HasPrefix(own, "cb-") {
		t.Errorf("the answer's id is %q", own)
	}
	eventually(t, "the request is in the log", func() bool { return strings.Contains(out.text(), "request="+own) })
}
