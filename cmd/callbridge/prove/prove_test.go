// Package prove runs the built program under load with CRMs that answer in
// every wrong way, kills it with -9 at random moments, and at the end compares
// the PBX's calls with what is in the CRMs: nothing lost, nothing doubled.
//
//	make prove N=10000                 so many kills
//	make prove N=40 SEED=17            one series again
//
// A seed fixes calls, faults and moments; what meets what is up to the machine.
package prove

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"callbridge/store/storetest"
)

var (
	kills = flag.Int("kills", 0, "how often the program is killed; 0: as many as fit into make test")
	seed  = flag.Uint64("seed", 0, "seed of the first world; 0: another each time")
	each  = flag.Int("each", 25, "kills per world, before it is compared")
)

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "callbridge-prove-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder = dir
	storetest.Cleanup(func() { _ = os.RemoveAll(dir) })
	storetest.Main(m)
}

// make test makes a few kills with seeds that are always the same; make prove
// makes as many as one has time for, with seeds of its own.
const (
	inTest     = 24
	inTestEach = 8
	inTestSeed = 4
	inTestFor  = 3 * time.Minute
)

func TestKilledUnderLoad(t *testing.T) {
	n, first := *kills, *seed
	if n == 0 {
		n = inTest
		if first == 0 {
			first = inTestSeed
		}
		*each = inTestEach
	}
	if first == 0 {
		first = rand.Uint64N(1 << 32)
	}
	began := time.Now()
	var sum tally
	for done := 0; done < n; done += *each {
		if *kills == 0 && time.Since(began) > inTestFor {
			t.Logf("only %d of %d kills fit into %v", done, n, inTestFor)
			n = done
			break
		}
		s := first + uint64(done / *each)
		most := min(*each, n-done)
		ok := t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			dsn := ""
			if s%4 == 3 {
				dsn = storetest.PostgresDSN(t)
			}
			one := series(t, s, most, dsn)
			sum.add(one)
			t.Logf("seed %d: %v", s, one)
		})
		if !ok {
			t.Fatalf("again: go test ./cmd/callbridge/prove -run TestKilledUnderLoad -kills %d -seed %d", most, s)
		}
	}
	t.Logf("%d kills in %v from seed %d: %v", n, time.Since(began).Round(time.Second), first, sum)
	if n >= 100 && sum.exact*12 < sum.calls {
		t.Errorf("only %d of %d calls were seen without a gap: the comparison proves little", sum.exact, sum.calls)
	}
	if sum.differ > 2+sum.gaps/50 {
		t.Errorf("%d of %d calls with a gap have another outcome than they had", sum.differ, sum.gaps)
	}
}

// series is one world and its kills.
func series(t *testing.T, seed uint64, n int, dsn string) tally {
	w := newWorld(t, seed, dsn)
	ctx, quiet := context.WithCancel(t.Context())
	defer quiet()
	silent := make(chan struct{})
	w.start()
	w.ready()
	w.settling = time.Now().Add(300 * time.Millisecond)
	go func() {
		defer close(silent)
		w.play(ctx, 60*time.Millisecond)
	}()
	from := time.Now()
	w.kill()
	for i := range n {
		w.moods()
		w.start()
		if w.rnd.IntN(8) > 0 {
			w.ready()
			w.down = append(w.down, span{from, time.Now()})
			pause(time.Duration(30+w.rnd.IntN(500)) * time.Millisecond)
			from = time.Now()
		} else {
			pause(time.Duration(w.rnd.IntN(120)) * time.Millisecond) // dies while it starts
		}
		w.kill()
		if i%3 == 2 {
			w.ledger()
			w.repair()
		}
	}
	for _, f := range w.fronts {
		f.set(mood{})
	}
	quiet()
	w.repair()
	w.start()
	w.ready()
	w.down = append(w.down, span{from, time.Now()})
	<-silent
	w.until("everything is delivered", func() bool {
		pause(100 * time.Millisecond)
		return w.settled()
	})
	must(t, w.sim.CallLogTrouble())
	w.stop()
	w.ledger()
	return w.compare()
}

func pause(d time.Duration) { <-time.After(d) }
