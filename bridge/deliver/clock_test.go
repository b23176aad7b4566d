package deliver

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
)

// The clock of the machine is set forward by a day while a request is under
// way: its lease has run out, yet nobody does it a second time. Set back, what
// is due still goes out.
func TestClockSetForwardAndBackDoublesNothing(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forward": 24 * time.Hour, "back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var skew atomic.Int64
				b.worker.now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
				slow := func(string) error {
					time.Sleep(5 * time.Second)
					skew.Store(int64(jump))
					b.worker.Wake()
					time.Sleep(10 * time.Second)
					return nil
				}
				b.crm.script = []func(string) error{nil, nil, slow} // find, create contact, create task
				ids := b.call("A", "+79161234567", "101", contact, task)
				b.during(t, 48*time.Hour)
				for _, id := range ids {
					if r := b.row(id); r.State != bridge.Done {
						t.Errorf("%s: %s %s", r.Action.Kind, r.State, r.Error)
					}
				}
				if len(b.crm.keys) != 1 || len(b.crm.contacts) != 1 || b.crm.overlap {
					t.Errorf("tasks %v, contacts %v", b.crm.keys, b.crm.contacts)
				}
			})
		})
	}
}
