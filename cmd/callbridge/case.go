package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/casefile"
	"callbridge/bridge/config"
	"callbridge/store"
)

// caseLimit bounds a case file that is read.
const caseLimit = 64 << 20

// readCase returns the case in a file, ok false if it is none.
func readCase(name string) (f casefile.File, ok bool, err error) {
	if !strings.HasSuffix(name, ".json") {
		return f, false, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return f, false, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, caseLimit+1))
	if err != nil {
		return f, false, err
	}
	if len(data) > caseLimit {
		return f, false, fmt.Errorf("%s: larger than 64 MiB", name)
	}
	if !casefile.Is(data) {
		return f, false, nil
	}
	f, err = casefile.Decode(data)
	return f, true, err
}

// replayCase plays a case back with the settings that were in force, against
// the sandboxes, and compares the record and the decisions with the file's.
func (c *cli) replayCase(ctx context.Context, f casefile.File, log *slog.Logger, asJSON bool) error {
	dir, err := os.MkdirTemp("", "callbridge-case-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w := newWorld()
	cfg := config.Default()
	cfg.Country = f.Country
	cfg.Database = config.Secret("sqlite:" + filepath.Join(dir, "replay.db"))
	a, err := app.New(ctx, app.Options{Config: cfg, Key: make([]byte, 32), Log: log, Version: version, Transport: w.transport(), Parallel: 16})
	if err != nil {
		return err
	}
	defer func() { _ = a.Stop(context.WithoutCancel(ctx)) }()
	if _, err := a.Apply(ctx, "replay", "", w.withSandboxes(f.Settings)); err != nil {
		return err
	}
	if err := a.Replay(ctx, f.Facts()); err != nil {
		return err
	}
	calls, _, err := a.Store().Calls(ctx, store.CallFilter{Limit: 1000})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(calls, func(x bridge.Call) bool { return x.ID == f.Call.ID })
	if i < 0 {
		return fmt.Errorf("the events of the case give no call %s", f.Call.ID)
	}
	got := calls[i]
	if asJSON {
		if err := printJSONLines(c.out, []bridge.Call{got}); err != nil {
			return err
		}
	} else {
		e := &opened{db: a.Store(), zone: time.UTC, country: f.Country}
		if err := e.printCall(ctx, c.out, got); err != nil {
			return err
		}
	}
	diffs, err := differences(f.Call, got)
	if err != nil {
		return err
	}
	rows, err := a.Store().Deliveries(ctx, store.DeliveryFilter{CallID: got.ID, Limit: 10000})
	if err != nil {
		return err
	}
	diffs = append(diffs, decided(f.Actions, rows)...)
	if len(diffs) > 0 {
		return fmt.Errorf("the replay differs from the case:\n  %s", strings.Join(diffs, "\n  "))
	}
	if !asJSON {
		fmt.Fprintf(c.out, "\nThe same record and the same %d decisions as in the case.\n", len(f.Actions))
	}
	return nil
}

// differences names the fields of the record that are not the same.
func differences(want, got bridge.Call) ([]string, error) {
	fields := func(c bridge.Call) (map[string]any, error) {
		b, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		var m map[string]any
		return m, json.Unmarshal(b, &m)
	}
	a, err := fields(want)
	if err != nil {
		return nil, err
	}
	b, err := fields(got)
	if err != nil {
		return nil, err
	}
	var out []string
	for k, v := range a {
		if !reflect.DeepEqual(v, b[k]) {
			out = append(out, fmt.Sprintf("%s: %v in the case, %v now", k, v, b[k]))
		}
	}
	for k, v := range b {
		if _, there := a[k]; !there {
			out = append(out, fmt.Sprintf("%s: nothing in the case, %v now", k, v))
		}
	}
	slices.Sort(out)
	return out, nil
}

// decided compares what the rules wanted. What became of it is the CRM's doing.
func decided(want []casefile.Action, got []bridge.Delivery) []string {
	now := map[string]bridge.Delivery{}
	for _, d := range got {
		now[d.Integration+" "+d.Action.Key] = d
	}
	var out []string
	for _, w := range want {
		k := w.Integration + " " + w.Action.Key
		d, ok := now[k]
		switch {
		case !ok:
			out = append(out, k+": decided in the case, not now")
		case d.Action.Wanted != w.Action.Wanted || d.Action.Reason != w.Action.Reason || d.Action.Rule != w.Action.Rule:
			out = append(out, fmt.Sprintf("%s: wanted %t (%s) in the case, %t (%s) now", k, w.Action.Wanted, w.Action.Reason, d.Action.Wanted, d.Action.Reason))
		}
		delete(now, k)
	}
	for k := range now {
		out = append(out, k+": decided now, not in the case")
	}
	slices.Sort(out)
	return out
}

// withSandboxes gives the integrations of a case the sandboxes' credentials.
func (w *world) withSandboxes(s bridge.Settings) bridge.Settings {
	own := w.settings("http://megaplan.localhost", "http://retailcrm.localhost")
	for i := range s.Integrations {
		for _, o := range own.Integrations {
			if o.Kind == s.Integrations[i].Kind {
				s.Integrations[i].Credentials = o.Credentials
			}
		}
	}
	return s
}

// writeCase prints the case file of a call.
func (e *opened) writeCase(ctx context.Context, out io.Writer, id string) error {
	b, err := app.CaseFile(ctx, e.db, id, e.cfg.CountryOf, version)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return err
}
