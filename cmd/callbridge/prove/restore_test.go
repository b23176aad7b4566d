package prove

import (
	"os"
	"strings"
	"testing"
	"time"
)

// The database is put back from a backup: the calls since then stand in the
// PBX's call log and come into the store again, and what was done for them in
// the CRMs is found there and not done again, however exact the log is.
func TestOlderStoreIsPutBack(t *testing.T) {
	for name, seed := range map[string]uint64{"exact times": 2, "times cut to seconds": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed, "")
			path := strings.TrimPrefix(w.dsn, "sqlite:")
			w.start()
			w.ready()
			w.having(time.Second)
			w.stop()
			old, err := os.ReadFile(path)
			must(t, err)
			w.start()
			w.ready()
			w.having(1500 * time.Millisecond)
			w.until("everything is delivered", func() bool {
				pause(200 * time.Millisecond)
				return w.settled()
			})
			w.stop()
			for _, left := range []string{"-wal", "-shm"} {
				if err := os.Remove(path + left); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			must(t, os.WriteFile(path, old, 0o600))
			w.putBack = true
			w.start()
			w.ready()
			w.done()
			if !strings.Contains(w.said(), "it was put back from a backup") {
				t.Error("it does not say that its database is an older one")
			}
		})
	}
}
