package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/aristream"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestEveryRecordedCallInMegaplan plays all recorded calls, with their pauses in
// virtual time, and compares everything that is in Megaplan afterwards, windows
// included, with testdata/megaplan.golden (-update rewrites it).
func TestEveryRecordedCallInMegaplan(t *testing.T) {
	var names []string
	for name := range aristream.Expected() {
		names = append(names, name)
	}
	slices.Sort(names)
	dir := t.TempDir()
	var recordings [][]bridge.Event
	for _, name := range names {
		id := strings.ReplaceAll(name, "/", "-")
		file := filepath.Join(dir, id+".jsonl")
		r, err := aristream.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		_ = r.Close()
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		events, err := readStream(file, id, []string{"trunk"})
		if err != nil {
			t.Fatal(err)
		}
		recordings = append(recordings, events)
	}
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		// The calls are of November 2026, and so is the clock.
		time.Sleep(time.Until(time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)))
		w := newWorld()
		w.megaplan.Reset() // the seed is as old as the calls
		cfg := config.Default()
		cfg.PublicURL = "https://calls.example.ru"
		cfg.Database = config.Secret("sqlite:" + filepath.Join(dir, "golden.db"))
		a, err := app.New(t.Context(), app.Options{Config: cfg, Key: bytes.Repeat([]byte{3}, 32), Log: slog.New(slog.DiscardHandler), Transport: w.transport()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := a.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		s := w.settings("http://megaplan.localhost", "http://retailcrm.localhost")
		s.Integrations = s.Integrations[:1]
		if _, err := a.Apply(t.Context(), "golden", "", s); err != nil {
			t.Fatal(err)
		}
		old := map[string]string{}
		err = a.ReplayPaced(t.Context(), recordings, func(i int) error {
			fmt.Fprintf(&out, "== %s\n", names[i])
			var lines []string
			for _, o := range w.megaplan.Objects() {
				line := dumped(o)
				if key := o.Kind + " " + o.ID; old[key] != line {
					if !o.Seed || old[key] != "" {
						lines = append(lines, line)
					}
					old[key] = line
				}
			}
			slices.Sort(lines)
			out.WriteString(strings.Join(lines, ""))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	golden := filepath.Join("testdata", "megaplan.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); d != "" {
		t.Errorf("what is in Megaplan differs (-want +got); look at it, then go test ./cmd/callbridge -run EveryRecorded -update:\n%s", d)
	}
}

var (
	callIDs = regexp.MustCompile(`01[0-9A-HJKMNP-TV-Z]{24}`)
	signed  = regexp.MustCompile(`\?until=\d+(&amp;|&)sig=[\w-]+`)
)

// dumped writes an object without what differs from run to run: ids and signatures.
func dumped(o sandbox.Object) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s | %s", o.Kind, o.Title)
	for _, f := range o.Fields {
		if f.Name != "number" && f.Name != "call" {
			fmt.Fprintf(&b, " | %s: %s", f.Name, strings.ReplaceAll(f.Value, "\n", " "))
		}
	}
	return signed.ReplaceAllString(callIDs.ReplaceAllString(b.String(), "CALL"), "") + "\n"
}
