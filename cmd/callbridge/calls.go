package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

func runCalls(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print JSON: one call record per line (list), or one object (show)")
	limit := fs.Int("limit", 20, "list: how many, newest first")
	client := fs.String("client", "", "list: only calls with this `number`")
	events := fs.Bool("events", false, "show: the raw events, what the tracker made of each, and why the outcome is what it is")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"list"}
	}
	switch {
	case words[0] == "list" && len(words) == 1:
	case words[0] == "gaps" && len(words) == 1:
	case (words[0] == "show" || words[0] == "case") && len(words) == 2:
	default:
		return usagef("say `calls list`, `calls show ID`, `calls case ID` or `calls gaps`")
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	if words[0] == "list" {
		calls, _, err := e.db.Calls(ctx, store.CallFilter{Limit: *limit, Client: e.number(*client)})
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSONLines(c.out, calls)
		}
		return e.printCalls(c.out, calls)
	}
	if words[0] == "gaps" {
		gaps, err := e.db.Gaps(ctx, time.Now().AddDate(0, 0, -gapDays))
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSONLines(c.out, gapLines(gaps))
		}
		return e.printGaps(c.out, gaps)
	}
	if words[0] == "case" {
		return e.writeCase(ctx, c.out, words[1])
	}
	call, err := e.db.Call(ctx, words[1])
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no call %s; `callbridge calls list` shows the newest", words[1])
	}
	if err != nil {
		return err
	}
	switch {
	case *asJSON && *events:
		return e.showEvents(ctx, c.out, call, true)
	case *asJSON:
		return printJSONLines(c.out, []bridge.Call{call})
	}
	if err := e.printCall(ctx, c.out, call); err != nil || !*events {
		return err
	}
	return e.showEvents(ctx, c.out, call, false)
}

func printJSONLines[T any](w io.Writer, list []T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range list {
		if err := enc.Encode(list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *opened) printCalls(w io.Writer, calls []bridge.Call) error {
	if len(calls) == 0 {
		_, err := fmt.Fprintln(w, "No calls yet.")
		return err
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTARTED\tDIRECTION\tCLIENT\tLINE\tOUTCOME\tPEOPLE\tTALK")
	for _, c := range calls {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, e.local(c.StartedAt), c.Direction, clientOf(&c), dash(c.Line), outcomeOf(&c), dash(people(&c)), span(c.TalkMS))
	}
	return t.Flush()
}

// printCall prints a call, its legs, and for every action why it was wanted or
// not and what became of it (F-3).
func (e *opened) printCall(ctx context.Context, w io.Writer, c bridge.Call) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(t, "%s\t%s\n", k, v)
		}
	}
	row("Call", c.ID)
	row("Direction", string(c.Direction))
	row("Outcome", outcomeOf(&c))
	row("Client", clientOf(&c))
	row("Name", c.ClientName)
	row("Line", c.Line)
	row("Queue", c.Queue)
	row("Begun by", c.Agent)
	row("Rang", strings.Join(c.Rang, ", "))
	row("Talked", strings.Join(c.AnsweredBy, ", "))
	if c.TalkedFirst != c.TalkedLast {
		row("Talked first", c.TalkedFirst)
		row("Talked last", c.TalkedLast)
		row("Talked longest", c.TalkedLongest)
	}
	row("Menu", menu(c.Path))
	row("Hung up by", string(c.HungUpBy))
	row("Started", e.local(c.StartedAt))
	row("Answered", e.local(c.AnsweredAt))
	row("Ended", e.local(c.EndedAt))
	row("Wait", span(c.WaitMS))
	row("Talk", span(c.TalkMS))
	for _, x := range c.Transfers {
		row("Transfer", fmt.Sprintf("%s, %s → %s, answered: %t", x.Type, x.From, x.To, x.Answered))
	}
	for _, r := range c.Recordings {
		who := ""
		if r.Extension != "" {
			who = " (" + r.Extension + ")"
		}
		row("Recording", r.Name+who)
	}
	for _, g := range c.Gaps {
		row("Not seen", fmt.Sprintf("%s – %s (%s)", e.local(g.From), e.local(g.To), g.Reason))
	}
	row("Not known", strings.Join(c.Unknown, ", "))
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nLegs")
	t = tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  PHONE\tRANG\tANSWERED\tENDED\tRESULT\tTALK")
	for _, l := range c.Legs {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", l.Extension, e.clock(l.RingAt), e.clock(l.AnswerAt), e.clock(l.EndAt), dash(string(l.Result)), span(l.TalkMS))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	rows, err := e.db.Deliveries(ctx, store.DeliveryFilter{CallID: c.ID, Limit: 1000})
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b bridge.Delivery) int { return cmp.Compare(a.Integration, b.Integration) })
	last := ""
	for _, d := range rows {
		if d.Integration != last {
			last = d.Integration
			fmt.Fprintf(w, "\n%s (settings version %d)\n", d.Integration, d.RuleVersion)
		}
		fmt.Fprintf(w, "  %-14s %-8s %s\n", d.Action.Kind, d.State, d.Action.Rule)
		why := "why: "
		if !d.Action.Wanted {
			why = "why not: "
		}
		fmt.Fprintf(w, "      %s%s\n", why, d.Action.Reason)
		if d.ObjectID != "" {
			fmt.Fprintf(w, "      object: %s %s\n", d.ObjectID, d.ObjectURL)
		}
		if d.Note != "" && d.Note != d.Action.Reason {
			fmt.Fprintf(w, "      note: %s\n", d.Note)
		}
		if d.Error != "" {
			fmt.Fprintf(w, "      error: %s\n", d.Error)
		}
		if d.State == bridge.Waiting && d.Attempts > 0 {
			fmt.Fprintf(w, "      %d attempts, next at %s\n", d.Attempts, e.local(d.NextAt))
		}
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "\nNo actions: no integration was set up when the call was made.")
	}
	return nil
}

// menu writes a client's way through menus: places, and the digits pressed there.
func menu(path []bridge.Step) string {
	var out []string
	for _, s := range path {
		if s.Digit != "" {
			out = append(out, "pressed "+s.Digit)
		} else {
			out = append(out, s.Context+"/"+s.Exten)
		}
	}
	return strings.Join(out, " → ")
}

func clientOf(c *bridge.Call) string {
	return cmp.Or(string(c.Client), c.ClientRaw, "withheld")
}

func outcomeOf(c *bridge.Call) string {
	switch {
	case c.Outcome == "" && !c.AnsweredAt.IsZero():
		return "talking"
	case c.Outcome == "":
		return "ringing"
	case c.Reason != "":
		return string(c.Outcome) + " (" + string(c.Reason) + ")"
	}
	return string(c.Outcome)
}

func people(c *bridge.Call) string {
	if len(c.AnsweredBy) > 0 {
		return strings.Join(c.AnsweredBy, ",")
	}
	return strings.Join(c.Rang, ",")
}

func dash(s string) string { return cmp.Or(s, "–") }

func span(ms *int64) string {
	if ms == nil {
		return "–"
	}
	return (time.Duration(*ms) * time.Millisecond).Round(100 * time.Millisecond).String()
}

func (e *opened) local(t bridge.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(e.zone).Format("2006-01-02 15:04:05")
}

func (e *opened) clock(t bridge.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(e.zone).Format("15:04:05.000")
}
