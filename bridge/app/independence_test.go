package app

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/crm/sandbox"
)

// TestF16OneDeadCRMDoesNotDelayTheOther: how long each call takes until it is in
// one CRM, with the other well and with the other dead in every way. In virtual
// time only waiting takes time, so a single wait for the other would show.
func TestF16OneDeadCRMDoesNotDelayTheOther(t *testing.T) {
	const calls = 16
	run := func(t *testing.T, kill func(*firm)) (took []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			f := openFirm(t, "Europe/Moscow", nil)
			defer f.close()
			kill(f)
			began := map[string]time.Time{}
			for i := range calls {
				c := f.call(fmt.Sprintf("+7916%07d", i))
				began["callbridge:"+c.ID+":call"] = time.Now()
				time.Sleep(time.Duration(900+37*(i%7)) * time.Millisecond) // within what retailCRM allows per second
			}
			f.settle(30 * time.Second)
			for _, o := range f.objectsOf("call") {
				took = append(took, o.CreatedAt.Sub(began[o.Value("externalId")]))
			}
		})
		slices.Sort(took)
		return took
	}
	well := run(t, func(*firm) {})
	if len(well) != calls {
		t.Fatalf("%d of %d calls arrived with both CRMs well: %v", len(well), calls, well)
	}
	for name, kill := range map[string]func(*firm){
		"hangs":            func(f *firm) { f.mega.FailNext(-1, "", sandbox.Fault{Hang: true}) },
		"answers 500":      func(f *firm) { f.mega.FailNext(-1, "", sandbox.Fault{Status: 500}) },
		"cuts connections": func(f *firm) { f.mega.FailNext(-1, "", sandbox.Fault{Drop: true}) },
		"says slow down":   func(f *firm) { f.mega.FailNext(-1, "", sandbox.Fault{Status: 429, RetryAfter: "60"}) },
		"refuses the user": func(f *firm) { f.mega.SetPassword("another", true) },
	} {
		t.Run(name, func(t *testing.T) {
			dead := run(t, kill)
			if len(dead) != calls {
				t.Fatalf("%d of %d calls arrived", len(dead), calls)
			}
			for i := range well {
				if d := dead[i] - well[i]; d > time.Millisecond {
					t.Errorf("rank %d: %v instead of %v", i, dead[i], well[i])
				}
			}
			t.Logf("p50 %v, longest %v; with both well %v, %v", dead[calls/2], dead[calls-1], well[calls/2], well[calls-1])
		})
	}
}
