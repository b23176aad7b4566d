package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
)

// F-22 through the whole path: a call is made, written about and delivered;
// after the erasure nothing of the client is in the database's files, and the
// ledger balances.
func TestF22ErasedMeansNotInTheFile(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	r := b.rings("79161234567", "101").after(time.Second)
	p := personal{b.App}
	b.eventually("the call lives", func() string {
		if len(b.core.liveCalls()) != 1 {
			return "not yet"
		}
		return ""
	})
	if _, err := p.Erase(t.Context(), bureauClient); !errors.Is(err, web.ErrInUse) {
		t.Errorf("erased in mid-call: %v", err)
	}
	r.at = r.at.Add(-time.Hour) // the rest of it is long ago
	r.answers("101").after(time.Second).ends()
	b.settled(1)
	calls, err := b.allCalls()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (cardDesk{b.App}).Write(t.Context(), web.Work{CallID: calls[0].ID, RequestID: "n", Kind: bridge.ActNote, Text: "Секретная заметка", Extension: "101"}); err != nil {
		t.Fatal(err)
	}
	b.settled(1)
	found, err := p.Search(t.Context(), bureauClient)
	if err != nil || found.Calls != 1 || found.Contacts != 1 || found.Deliveries < 3 {
		t.Fatalf("%+v %v", found, err)
	}
	text, err := p.Export(t.Context(), bureauClient)
	if err != nil || !strings.Contains(string(text), "Секретная заметка") {
		t.Errorf("the export: %v", err)
	}
	got, err := p.Erase(t.Context(), bureauClient)
	if err != nil || got.Calls != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	if n, err := b.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Errorf("imbalance %v %v", n, err)
	}
	path := strings.TrimPrefix(b.cfg.Database.Reveal(), "sqlite:")
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"9161234567", "Секретная заметка"} {
			if strings.Contains(string(raw), s) {
				t.Errorf("%s still holds %q", filepath.Base(f), s)
			}
		}
	}
}
