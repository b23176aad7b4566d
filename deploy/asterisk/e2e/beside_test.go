package e2e

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"callbridge/crm/sandbox"
	"callbridge/deploy/asterisk/bench"
)

var (
	besideRate  = flag.Float64("beside-rate", 5, "TestBesideAsterisk: calls a second")
	besideCalls = flag.Int("beside-calls", 30, "TestBesideAsterisk: how many calls")
)

// TestBesideAsterisk has a real Asterisk take calls at a rate on its main line
// (routing question, recording) and looks that each of them is in the store and
// once in each CRM. It prints what both programs used of the processors: with
// -beside-rate and -beside-calls (make beside) it is the measurement.
func TestBesideAsterisk(t *testing.T) {
	b := bench.Start(t)
	p := company(t, b)
	p.patience = 10 * time.Minute
	// The CRMs answer at once; their own limits are not what is looked at.
	text, err := os.ReadFile(p.dir + "/settings.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fast := strings.NewReplacer("password: secret}", `password: secret, requests_per_second: "0"}`,
		"api_key: ", `requests_per_second: "0", api_key: `).Replace(string(text))
	p.file("fast.yaml", fast)
	p.run("apply", "-c", "callbridge.yaml", "fast.yaml")

	pbx0, own0, began := b.CPU(t), p.cpu(), time.Now()
	b.Load(t, bench.MainLine, *besideRate, *besideCalls, bench.Options{Ring: 200 * time.Millisecond, Talk: time.Second})
	pbx, own, took := b.CPU(t)-pbx0, p.cpu()-own0, time.Since(began)
	p.eventually("every call is once in every CRM", func() error {
		for name := range p.crms {
			if n := p.count(name)["call"]; n != *besideCalls {
				return fmt.Errorf("%s has %d calls of %d", name, n, *besideCalls)
			}
		}
		return nil
	})
	total := p.cpu() - own0
	drained := time.Since(began)
	for name, crm := range p.crms {
		seen := map[string]int{}
		for _, o := range crm.Objects() {
			if o.Kind == "call" && !o.Seed {
				seen[clientOf(o)]++
			}
		}
		for n := range *besideCalls {
			if seen[bench.Number(n)] != 1 {
				t.Errorf("%s has the call of client %d %d times", name, n, seen[bench.Number(n)])
			}
		}
	}
	p.eventually("the ledger balances and nothing waits", func() error {
		m := p.metrics()
		if m["callbridge_ledger_imbalance"] != 0 {
			return fmt.Errorf("it is out of balance by %v", m["callbridge_ledger_imbalance"])
		}
		if n := m[`callbridge_deliveries{state="waiting"}`]; n != 0 {
			return errors.New("deliveries wait")
		}
		return nil
	})
	m := p.metrics()
	t.Logf("%d calls at %.0f/s on %s: Asterisk %.1f s CPU, Callbridge %.1f s while they came (%.0f %%), %.1f s with all deliveries, %.1f ms a call; all delivered %.1f s after the last call; %.0f reads of the ARI, %.0f after more than 1 ms",
		*besideCalls, float64(*besideCalls)/took.Seconds(), bench.MainLine, pbx.Seconds(), own.Seconds(), 100*own.Seconds()/pbx.Seconds(), total.Seconds(),
		1000*total.Seconds()/float64(*besideCalls), (drained - took).Seconds(), m["callbridge_pbx_reader_seconds_count"],
		m["callbridge_pbx_reader_seconds_count"]-m[`callbridge_pbx_reader_seconds_bucket{le="0.001"}`])
}

var clientNumber = regexp.MustCompile(`7916\d{7}`)

// clientOf is the number of the client of a call in a CRM, "" if it has none.
func clientOf(o sandbox.Object) string {
	for _, f := range o.Fields {
		if n := clientNumber.FindString(f.Value); n != "" {
			return "+" + n
		}
	}
	return ""
}

// cpu is what the daemon has used of processors.
func (p *program) cpu() time.Duration {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	d, err := bench.CPUOf(string(text))
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// metrics are the daemon's own, each series by itself and each metric as the
// sum of its series.
func (p *program) metrics() map[string]float64 {
	p.t.Helper()
	res, err := http.Get(p.url + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		i := strings.LastIndexByte(lines.Text(), ' ')
		if i < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		v, err := strconv.ParseFloat(lines.Text()[i+1:], 64)
		if err != nil {
			continue
		}
		name, labels, has := strings.Cut(lines.Text()[:i], "{")
		out[name] += v
		for label := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
			if has {
				out[name+"{"+label+"}"] += v
			}
		}
	}
	return out
}
