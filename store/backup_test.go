package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

func keyID(t *testing.T) string {
	t.Helper()
	id, err := store.KeyID(storetest.Key())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestBackupWhileItRuns copies the database while calls are committed: the copy
// is of one moment, so its ledger balances, and it is restored and read.
func TestBackupWhileItRuns(t *testing.T) {
	db := storetest.Open(t, storetest.SQLiteDSN(t))
	if _, err := db.SaveSettings(t.Context(), "test", bridge.Settings{Users: []bridge.User{{Login: "admin", PasswordHash: "secret-hash"}}}, ""); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	started, ended := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := db.Commit(t.Context(), load(n*10, 10, phases-1, time.Now())); err != nil {
				t.Error(err)
				break
			}
			if n == 3 {
				close(started)
			}
		}
		ended <- n * 10
	}()
	<-started
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	info, err := db.Backup(t.Context(), file)
	stop()
	written := <-ended
	if err != nil {
		t.Fatal(err)
	}
	if info.Calls < 40 || info.Calls%10 != 0 || info.Calls > int64(written) || info.Settings != 1 || info.Schema == 0 {
		t.Errorf("%+v of %d calls", info, written)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "secret-hash") {
		t.Errorf("a secret stands in the backup, or %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left beside the backup: %v, %v", left, err)
	}
	if _, err := db.Backup(t.Context(), file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a backup was overwritten: %v", err)
	}

	target := filepath.Join(dir, "callbridge.db")
	got, old, err := store.Restore(t.Context(), "sqlite:"+target, file, keyID(t))
	if err != nil || old != "" || got != info {
		t.Fatalf("%+v, %q, %v", got, old, err)
	}
	again := storetest.Open(t, "sqlite:"+target)
	s, version, err := again.Settings(t.Context())
	if err != nil || version != 1 || s.Users[0].PasswordHash != "secret-hash" {
		t.Errorf("settings %+v, %d, %v", s, version, err)
	}
	if n, err := again.LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Errorf("imbalance %d, %v", n, err)
	}
	list, _, err := again.Calls(t.Context(), store.CallFilter{Limit: 1})
	if err != nil || len(list) != 1 {
		t.Errorf("%d calls, %v", len(list), err)
	}
}

func TestRestoreKeepsWhatWasThereAndRefusesARunningDaemon(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	dsn := "sqlite:" + filepath.Join(dir, "callbridge.db")
	db := storetest.Open(t, dsn)
	if _, err := db.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(t.Context(), load(0, 10, phases-1, time.Now())); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Own(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Restore(t.Context(), dsn, file, keyID(t)); !errors.Is(err, store.ErrServed) {
		t.Fatalf("restored under a running daemon: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		info, old, err := store.Restore(t.Context(), dsn, file, keyID(t))
		if err != nil || info.Calls != 0 || old == "" {
			t.Fatalf("%+v, %q, %v", info, old, err)
		}
		kept, err := store.VerifyBackup(t.Context(), old, keyID(t))
		if want := int64(10 - 10*n); err != nil || kept.Calls != want {
			t.Errorf("what was there has %d calls, want %d, %v", kept.Calls, want, err)
		}
	}
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	db := storetest.Open(t, storetest.SQLiteDSN(t))
	backlog(t, db)
	file := filepath.Join(dir, "copy.db")
	if _, err := db.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"a page of nonsense": func(b []byte) []byte {
			for i := len(b) / 2; i < len(b)/2+8192; i++ {
				b[i] ^= 0x5a
			}
			return b
		},
		"cut off":   func(b []byte) []byte { return b[:len(b)*2/3] },
		"empty":     func([]byte) []byte { return nil },
		"no SQLite": func([]byte) []byte { return []byte(strings.Repeat("Dear Sir, ", 2000)) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(bad, change(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := store.VerifyBackup(t.Context(), bad, ""); err == nil {
				t.Error("nothing was found")
			}
			target := filepath.Join(dir, "target-"+filepath.Base(bad))
			if _, _, err := store.Restore(t.Context(), "sqlite:"+target, bad, ""); err == nil {
				t.Error("it was restored")
			}
			if _, err := os.Stat(target); err == nil {
				t.Error("a database was made of it")
			}
		})
	}
	other, err := store.KeyID([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.VerifyBackup(t.Context(), file, other); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := store.VerifyBackup(t.Context(), filepath.Join(dir, "none"), ""); err == nil {
		t.Error("a file that is not there was verified")
	}
}

func TestBackupOfPostgresNamesItsTools(t *testing.T) {
	db := storetest.Open(t, storetest.PostgresDSN(t))
	if _, err := db.Backup(t.Context(), filepath.Join(t.TempDir(), "x")); !errors.Is(err, store.ErrPostgres) || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("%v", err)
	}
}

func TestRotateKey(t *testing.T) {
	both(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		for _, name := range []string{"first", "second"} {
			if _, err := db.SaveSettings(t.Context(), "test", bridge.Settings{Users: []bridge.User{{Login: name}}}, ""); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.SaveAccount(t.Context(), "crm", []byte("token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := takenAndLeft(t, db, "none"); err != nil {
			t.Fatal(err)
		}
		next := []byte(strings.Repeat("n", 32))
		if err := db.RotateKey(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		read := func(db *store.DB) {
			t.Helper()
			for v, name := range map[int64]string{1: "first", 2: "second"} {
				if s, err := db.SettingsVersion(t.Context(), v); err != nil || s.Users[0].Login != name {
					t.Errorf("version %d: %+v, %v", v, s, err)
				}
			}
			if state, ok, err := db.TakeAccount(t.Context(), "crm", "test", time.Now()); err != nil || !ok || string(state) != "token" {
				t.Errorf("state %q, %t, %v", state, ok, err)
			}
		}
		read(db)
		if _, err := store.Open(t.Context(), dsn, storetest.Key(), nil); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("the old key opens it: %v", err)
		}
		again, err := store.Open(t.Context(), dsn, next, nil)
		if err != nil {
			t.Fatal(err)
		}
		read(again)
		// Whoever still has the old key in memory cannot mix keys.
		if err := again.RotateKey(t.Context(), []byte(strings.Repeat("m", 32))); err != nil {
			t.Fatal(err)
		}
		if err := db.RotateKey(t.Context(), storetest.Key()); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("a second rotation from an old key: %v", err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// takenAndLeft makes an account without a state.
func takenAndLeft(t *testing.T, db *store.DB, id string) error {
	t.Helper()
	if _, ok, err := db.TakeAccount(t.Context(), id, "test", time.Now()); err != nil || !ok {
		t.Errorf("%t %v", ok, err)
	}
	return db.LeaveAccount(t.Context(), id, "test")
}
