package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/phone"
	"callbridge/bridge/track"
)

// explained is a call with what each event meant, in JSON.
type explained struct {
	Call   bridge.Call `json:"call"`
	Why    string      `json:"why"`
	Events []rawEvent  `json:"events"`
}

type rawEvent struct {
	track.Reading
	Raw json.RawMessage `json:"raw,omitempty"`
}

// showEvents prints the raw events of a call, the tracker's reading of each,
// and why the outcome is what it is (F-3).
func (e *opened) showEvents(ctx context.Context, w io.Writer, c bridge.Call, asJSON bool) error {
	events, err := app.EventsOf(ctx, e.db, &c)
	if err != nil {
		return err
	}
	readings := track.Explain(events, track.Options{Number: func(pbx, raw string) bridge.Number {
		n, _ := phone.Parse(raw, e.cfg.CountryOf(pbx))
		return n
	}})
	if asJSON {
		out := explained{Call: c, Why: track.Why(&c)}
		for _, r := range readings {
			row := rawEvent{Reading: r}
			if json.Valid(r.Event.Raw) {
				row.Raw = r.Event.Raw
			}
			out.Events = append(out.Events, row)
		}
		return printJSONLines(w, []explained{out})
	}
	fmt.Fprintln(w, "\nEvents")
	for _, r := range readings {
		fmt.Fprintf(w, "  %s %+.3fs  %s%s\n", e.clock(r.Event.At), r.Event.At.Sub(c.StartedAt).Seconds(), r.Event.Kind, about(&r.Event))
		for _, f := range r.Changes {
			was := ""
			if len(f.Was) > 0 {
				was = ", was " + short(f.Was)
			}
			fmt.Fprintf(w, "      %s: %s%s\n", f.Field, short(f.Is), was)
		}
		if len(r.Changes) == 0 {
			fmt.Fprintln(w, "      changes nothing")
		}
		if len(r.Decides) > 0 {
			fmt.Fprintf(w, "      without it another %s\n", strings.Join(r.Decides, ", "))
		}
		if len(r.Event.Raw) > 0 {
			fmt.Fprintf(w, "      raw: %s\n", r.Event.Raw)
		}
	}
	if len(readings) == 0 {
		fmt.Fprintln(w, "  None are kept any more.")
	}
	_, err = fmt.Fprintf(w, "\nWhy\n  %s\n", track.Why(&c))
	return err
}

// about names whom an event is about.
func about(e *bridge.Event) string {
	name := func(c *bridge.Channel) string {
		switch {
		case c == nil:
			return ""
		case c.Name != "":
			return " " + c.Name
		}
		return " " + c.ID
	}
	out := name(e.Leg)
	if e.Peer != nil {
		out += " →" + name(e.Peer)
	}
	for _, s := range []string{e.Result, e.Name, e.Value} {
		if s != "" {
			out += " · " + s
		}
	}
	if e.Cause != 0 {
		out += fmt.Sprintf(" · cause %d", e.Cause)
	}
	return out
}

// short keeps long members on one line.
func short(b json.RawMessage) string {
	if len(b) == 0 {
		return "nothing"
	}
	if r := []rune(string(b)); len(r) > 160 {
		return string(r[:157]) + "…"
	}
	return string(b)
}
