package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// connect opens all agents, a few hundred at a time.
func (r *run) connect(ctx context.Context, tokens []string, rep *Report) error {
	before, err := rssMB(r.cmd.Process.Pid)
	if err != nil {
		return err
	}
	took, err := r.open(ctx, tokens)
	if err != nil {
		return err
	}
	rep.ConnectS = took.Seconds()
	if len(tokens) > 0 {
		time.Sleep(2 * time.Second) // what signing in needed is given back
		after, err := rssMB(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		rep.BytesPerAgent = (after - before) * (1 << 20) / float64(len(tokens))
		r.say("%d agents connected in %.1f s\n", len(tokens), rep.ConnectS)
	}
	return nil
}

func (r *run) open(ctx context.Context, tokens []string) (time.Duration, error) {
	began := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	slots := make(chan struct{}, 256)
	for _, t := range tokens {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := r.agents.open(ctx, t); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return 0, fmt.Errorf("%d of %d agents could not connect, the first because of: %w", len(errs), len(tokens), errs[0])
	}
	return time.Since(began), nil
}

// measure plays the calls and waits until everything is delivered.
func (r *run) measure(ctx context.Context, tokens []string, rep *Report) error {
	rep.At, rep.Machine = time.Now().UTC(), machine()
	o := r.traffic(r.o.Rate, int(r.o.Rate*r.o.Duration.Seconds()))
	n := 0
	o.Late = func(d time.Duration) {
		if n++; n%16 == 0 {
			r.late = append(r.late, d)
		}
	}
	cpu0, err := cpuSeconds(r.cmd.Process.Pid)
	if err != nil {
		return err
	}
	base, err := r.scrape(ctx)
	if err != nil {
		return err
	}
	watch, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { r.watch(watch, rep) })
	wg.Go(func() { r.ask(watch, func() string { return fmt.Sprintf("79%09d", 160000000+rand.IntN(o.Calls)) }) })
	began := time.Now()
	sum, err := r.sim.Load(ctx, o)
	if err != nil {
		stop()
		wg.Wait()
		return err
	}
	ended := time.Now()
	cpu1, err := cpuSeconds(r.cmd.Process.Pid)
	if err != nil {
		stop()
		wg.Wait()
		return err
	}
	rep.CPUShare = (cpu1 - cpu0) / ended.Sub(began).Seconds()
	at, err := r.scrape(ctx)
	if err != nil {
		stop()
		wg.Wait()
		return err
	}
	rep.Calls, rep.Frames = sum.Calls, sum.Frames
	rep.CallsPerSec, rep.FramesPerSec = float64(sum.Calls)/sum.Took.Seconds(), float64(sum.Frames)/sum.Took.Seconds()
	rep.BacklogEnd = int(at["callbridge_store_backlog_events"])
	received := func(m map[string]float64) float64 { return m["callbridge_events_received_total"] }
	rep.StoredPerSec = (received(at) - received(base) - at["callbridge_store_backlog_events"]) / ended.Sub(began).Seconds()
	if r.o.Resend {
		if err := r.resend(ctx, rep); err != nil {
			stop()
			wg.Wait()
			return err
		}
	} else {
		r.drain(ctx, rep, began, ended)
	}
	stop()
	wg.Wait()
	var took []time.Duration
	took, rep.CardsMissing, rep.Cards, rep.Ended = r.agents.latency()
	rep.latency(took)
	if r.o.Reconnect && len(tokens) > 0 {
		r.agents.drop()
		took, err := r.open(ctx, tokens)
		if err != nil {
			return err
		}
		rep.ReconnectS = took.Seconds()
	}
	if rep.PeakMB, err = peakMB(r.cmd.Process.Pid); err != nil {
		return err
	}
	if rep.CPUSeconds, err = cpuSeconds(r.cmd.Process.Pid); err != nil {
		return err
	}
	if rep.Calls > 0 {
		rep.CPUPerCallMS = (rep.CPUSeconds - cpu0) * 1000 / float64(rep.Calls)
	}
	r.kill()
	return r.ledger(ctx, rep)
}

// drain waits until all deliveries are done.
func (r *run) drain(ctx context.Context, rep *Report, began, ended time.Time) {
	last := -1.0
	for ctx.Err() == nil && time.Since(ended) < r.o.Drain {
		m, err := r.scrape(ctx)
		if err == nil && m["open"] == 0 && m["callbridge_store_backlog_events"] == 0 && m["callbridge_events_received_total"] == last {
			break // nothing came, nothing waits
		}
		last = m["callbridge_events_received_total"]
		time.Sleep(500 * time.Millisecond) // each look costs the daemon a count of the ledger
	}
	rep.DrainS = time.Since(ended).Seconds()
	rep.Load1 = loadAverage()
	if m, err := r.scrape(ctx); err == nil {
		rep.Undelivered = int(m["open"])
		rep.Deliveries = int(m["finished"])
		rep.DeliveriesPerSec = m["finished"] / time.Since(began).Seconds()
		rep.Reads = int(m["callbridge_pbx_reader_seconds_count"])
		rep.ReaderOver1ms = rep.Reads - int(m["reads_1ms"])
	}
	calls := 0
	rep.CRMCalls, rep.CRMTwice, rep.Requests = 0, 0, 0
	for _, c := range r.crms {
		n, twice := c.count()
		calls = max(calls, n)
		rep.CRMCalls += n
		rep.CRMTwice += twice
		rep.Requests += c.requests.Load()
	}
	rep.DeliveredCallsPS = float64(calls) / time.Since(began).Seconds()
	if rep.Calls > 0 {
		rep.RequestsPerCall = float64(rep.Requests) / float64(rep.Calls)
	}
}

// ledger looks into the store after the daemon has ended.
func (r *run) ledger(ctx context.Context, rep *Report) error {
	slices.Sort(r.late)
	rep.LateP99MS = quantile(r.late, .99)
	r.mu.Lock()
	slices.Sort(r.routes)
	rep.RouteP50MS, rep.RouteP99MS, rep.RouteMaxMS, rep.RouteFailed = quantile(r.routes, .5), quantile(r.routes, .99), quantile(r.routes, 1), r.lost
	r.mu.Unlock()
	db, err := store.Open(ctx, r.dsn, r.key, nil)
	if err != nil {
		return err
	}
	rep.Imbalance, err = db.LedgerImbalance(ctx)
	if err == nil {
		var open []bridge.Call
		if open, _, err = db.Calls(ctx, store.CallFilter{Open: true, Limit: 10}); err == nil && len(open) > 0 {
			rep.Missed = append(rep.Missed, fmt.Sprintf("%d calls or more never ended", len(open)))
		}
	}
	return errors.Join(err, db.Close())
}

// watch notes the backlog and shows how it goes.
func (r *run) watch(ctx context.Context, rep *Report) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		m, err := r.scrape(ctx)
		if err != nil {
			continue
		}
		rep.BacklogMax = max(rep.BacklogMax, int(m["callbridge_store_backlog_events"]))
		if n%5 == 0 {
			took, _, cards, _ := r.agents.latency()
			r.say("%4d s: %.0f events, backlog %.0f, %d cards (p99 %.1f ms), %.0f deliveries done, %.0f open\n", n,
				m["callbridge_events_received_total"], m["callbridge_store_backlog_events"], cards, quantile(took, .99), m["finished"], m["open"])
		}
	}
}

// ask asks who takes a call, again and again.
func (r *run) ask(ctx context.Context, number func() string) {
	if r.o.Routes <= 0 {
		return
	}
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(time.Duration(float64(time.Second) / r.o.Routes))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		res, err := client.Get(r.url + "/hooks/office/route?" + url.Values{"number": {number()}, "line": {"74951234567"}, "secret": {routeSecret}}.Encode())
		ok := err == nil && res.StatusCode == http.StatusOK
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096))
			_ = res.Body.Close()
		}
		took := time.Since(began)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		if ok {
			r.routes = append(r.routes, took)
		} else {
			r.lost++
		}
		r.mu.Unlock()
	}
}

// scrape reads the daemon's own metrics: the sum of each series, and a few
// that are made of them.
func (r *run) scrape(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	out := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "callbridge_") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:i], "{")
		out[name] += v
		switch {
		case name == "callbridge_deliveries" && (strings.Contains(labels, `state="waiting"`) || strings.Contains(labels, `state="trying"`)):
			out["open"] += v
		case name == "callbridge_deliveries" && strings.Contains(labels, `state="held"`):
			out["held"] += v
		case name == "callbridge_deliveries" && strings.Contains(labels, `state="done"`):
			out["finished"] += v
		case name == "callbridge_pbx_reader_seconds_bucket" && strings.Contains(labels, `le="0.001"`):
			out["reads_1ms"] += v
		}
	}
	return out, lines.Err()
}

// cpuSeconds is what a process has used, on Linux.
func cpuSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat cannot be read", pid)
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100, errors.Join(err1, err2) // USER_HZ is 100 everywhere
}

func rssMB(pid int) (float64, error)  { return status(pid, "VmRSS:") }
func peakMB(pid int) (float64, error) { return status(pid, "VmHWM:") }

func status(pid int, field string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, field)
}

// machine names the processor and how many of it there are.
func machine() string {
	name := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), name, runtime.Version())
}

// loadAverage is how busy the machine is, of the last minute; who else uses it
// is in every figure.
func loadAverage() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return n
}
