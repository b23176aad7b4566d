package app

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
	"callbridge/store"
)

// logins are the grant types that reached the simulated Megaplan.
func (b *bureau) logins() string {
	var out []string
	for _, l := range b.mega.RequestLog() {
		if strings.HasSuffix(l.Path, "/auth/access_token") {
			grant, _, _ := strings.Cut(strings.TrimPrefix(string(l.Body), "grant_type="), "&")
			out = append(out, grant)
		}
	}
	return strings.Join(out, " ")
}

// M-1.1: integrations with one named account share its tokens: one log-in, and
// one renewal at a time for all of them; a restart needs neither.
func TestM11IntegrationsOfOneAccountShareItsTokens(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		in := s.Integrations[0]
		s.Credentials = []bridge.Credential{{ID: "account", Kind: "megaplan", Values: in.Credentials}}
		in.CredentialsID, in.Credentials = "account", nil
		s.Integrations = nil
		for i := range 4 {
			in.ID = fmt.Sprintf("mp%d", i)
			s.Integrations = append(s.Integrations, in)
		}
	})
	var all sync.WaitGroup
	everybody := func() {
		t.Helper()
		for i := range 4 {
			for range 3 {
				all.Go(func() {
					if _, err := b.Check(t.Context(), fmt.Sprintf("mp%d", i)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
	}
	everybody()
	// Each attempt ends with the same log whatever the order was: who comes
	// second finds the work done.
	if got := b.logins(); got != "password" {
		t.Errorf("log-ins %q", got)
	}
	b.mega.ExpireTokens()
	everybody()
	if got := b.logins(); got != "password refresh_token" {
		t.Errorf("after the tokens expired: %q", got)
	}
	// Another process with the same database takes over what is stored.
	st, ok, err := b.db.TakeAccount(t.Context(), b.onlyAccount(), "other", time.Now())
	if err != nil || !ok || !strings.Contains(string(st), "refresh-") || !strings.Contains(string(st), "access-") {
		t.Errorf("stored %q %t %v", st, ok, err)
	}
}

func (b *bureau) onlyAccount() string {
	b.accounts.mu.Lock()
	defer b.accounts.mu.Unlock()
	for id := range b.accounts.byID {
		return id
	}
	return ""
}

// Two processes on one database renew one after the other, and a turn whose
// owner died ends by itself.
func TestAccountTurnsBetweenProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), make([]byte, 32), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		one, two := newAccounts(db, slog.Default()).of("x"), newAccounts(db, slog.Default()).of("x")
		_, release, err := one.Turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		go func() { got <- stateOf(t, two) }()
		time.Sleep(time.Second)
		if err := one.Save(t.Context(), []byte("new")); err != nil {
			t.Error(err)
		}
		select {
		case s := <-got:
			t.Errorf("the second did not wait: %q", s)
		default:
		}
		release()
		if s := <-got; s != "new" {
			t.Errorf("state %q", s)
		}
		if _, _, err := one.Turn(t.Context()); err != nil { // never given on
			t.Fatal(err)
		}
		began := time.Now()
		if s := stateOf(t, two); s != "new" || time.Since(began) < time.Minute {
			t.Errorf("%q after %v", s, time.Since(began))
		}
	})
}

func stateOf(t *testing.T, a crm.Account) string {
	state, release, err := a.Turn(t.Context())
	if err != nil {
		t.Error(err)
		return ""
	}
	release()
	return string(state)
}
