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
	dir, err := os.MkdirTemp("", "callbridge-replay-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(c.errOut, nil))
	}
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
	dec := ari.NewDecoder(ari.DecodeOptions{PBX: id, Trunks: trunks})
	var out []bridge.Event
	for _, l := range lines {
		if l.Event == nil || l.Conn != 0 {
			continue // notes and REST calls are no events; the second socket repeats the first
		}
		e, useful, err := dec.Decode(l.Event)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if useful {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no events in it", name)
	}
	return out, nil
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
