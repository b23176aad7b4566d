package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/aristream"
	"callbridge/store"
)

func runReplay(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	asJSON := fs.Bool("json", false, "print one call record per line and nothing else")
	trunks := fs.String("trunks", "trunk", "endpoints that are outside lines, with commas between")
	country := fs.String("country", "RU", "country of numbers written without one")
	verbose := fs.Bool("v", false, "log to standard error")
	files, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return usagef("name at least one recorded stream")
	}
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(c.errOut, nil))
	}
	if len(files) == 1 {
		if f, ok, err := readCase(files[0]); err != nil || ok {
			if err != nil {
				return err
			}
			return c.replayCase(ctx, f, log, *asJSON)
		}
	}
	dir, err := os.MkdirTemp("", "callbridge-replay-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w := newWorld()
	cfg := config.Default()
	cfg.Country = *country
	cfg.Database = config.Secret("sqlite:" + filepath.Join(dir, "replay.db"))
	a, err := app.New(ctx, app.Options{Config: cfg, Key: make([]byte, 32), Log: log, Version: version, Transport: w.transport(), Parallel: 16})
	if err != nil {
		return err
	}
	defer func() { _ = a.Stop(context.WithoutCancel(ctx)) }()
	if _, err := a.Apply(ctx, "replay", "", w.settings("http://megaplan.localhost", "http://retailcrm.localhost")); err != nil {
		return err
	}
	var pbxs []string
	var events []bridge.Event
	for i, name := range files {
		id := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".gz"), ".jsonl")
		if slices.Contains(pbxs, id) {
			id = fmt.Sprintf("%s-%d", id, i+1)
		}
		pbxs = append(pbxs, id)
		more, err := readStream(name, id, strings.Split(*trunks, ","))
		if err != nil {
			return err
		}
		events = append(events, more...)
	}
	rctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := a.Replay(rctx, events); err != nil {
		return err
	}
	e := &opened{db: a.Store(), zone: time.UTC, country: *country}
	for _, id := range pbxs {
		calls, _, err := e.db.Calls(ctx, store.CallFilter{PBX: id, Limit: 1000})
		if err != nil {
			return err
		}
		slices.Reverse(calls)
		if len(calls) == 0 {
			fmt.Fprintf(c.errOut, "%s: no call in it\n", id)
		}
		if *asJSON {
			if err := printJSONLines(c.out, calls); err != nil {
				return err
			}
			continue
		}
		for _, call := range calls {
			if err := e.printCall(ctx, c.out, call); err != nil {
				return err
			}
			fmt.Fprintln(c.out)
		}
	}
	return nil
}

// readStream reads a recorded stream as the events of a PBX. What the recorder
// got by REST after a reconnect becomes the snapshot it was.
func readStream(name, id string, trunks []string) ([]bridge.Event, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	lines, err := aristream.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	rec := &recorded{dec: ari.NewDecoder(ari.DecodeOptions{PBX: id, Trunks: trunks}), pbx: id}
	for _, l := range lines {
		if err := rec.line(l); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, l.N, err)
		}
	}
	return rec.out, nil
}

// recorded makes of a recorded stream what the adapter would have told: the
// events, and after a loss of the websocket the gap and what the recorder found
// in the PBX by REST. What came over a second socket too is the same event.
type recorded struct {
	dec            *ari.Decoder
	pbx            string
	out            []bridge.Event
	last           bridge.Time   // of the last event, by the PBX's clock
	t              time.Duration // and by the recorder's
	lost           bool
	info, channels []byte
}

func (r *recorded) line(l aristream.Line) error {
	switch {
	case strings.Contains(l.Note, "dropped on purpose"), strings.Contains(l.Note, "close 1006"):
		r.lost = true
	case l.REST != nil && l.REST.Path == "/asterisk/info":
		r.info = l.REST.Body
	case l.REST != nil && l.REST.Path == "/channels":
		r.channels = l.REST.Body
	case l.REST != nil && l.REST.Path == "/bridges" && r.lost:
		return r.found(l)
	}
	if l.Event == nil {
		return nil
	}
	e, useful, err := r.dec.Decode(l.Event)
	if err != nil {
		return err
	}
	if !e.At.IsZero() {
		r.last, r.t = e.At, l.T
	}
	if useful {
		r.out = append(r.out, e)
	}
	return nil
}

// found tells the gap and the snapshot after it.
func (r *recorded) found(l aristream.Line) error {
	snap, err := r.dec.Snapshot(r.info, r.channels, l.REST.Body)
	if err != nil {
		return err
	}
	r.lost = false
	at := bridge.At(r.last.Add(l.T - r.t))
	if r.last.IsZero() {
		for _, c := range snap.Channels { // no event before: later than every channel is all we know
			if c.Since.After(at.Time) {
				at = c.Since
			}
		}
	} else {
		r.out = append(r.out, bridge.Event{ID: fmt.Sprint("lost-", l.N), PBX: r.pbx, Kind: bridge.LinkLost, At: at, From: r.last, To: at})
	}
	r.out = append(r.out, bridge.Event{ID: fmt.Sprint("up-", l.N), PBX: r.pbx, Kind: bridge.LinkUp, At: at, Snapshot: &snap})
	return nil
}

// transport answers for both sandboxes without a network.
func (w *world) transport() http.RoundTripper {
	return hosts{"megaplan.localhost": sandbox.Transport(w.megaplan), "retailcrm.localhost": sandbox.Transport(w.retailcrm)}
}

type hosts map[string]http.RoundTripper

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	if t := h[r.URL.Host]; t != nil {
		return t.RoundTrip(r)
	}
	return nil, errors.New("replay: no such host: " + r.URL.Host)
}
