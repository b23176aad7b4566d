package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/deliver"
	"callbridge/store"
)

// board is what activates, deactivates and resends, beside a running daemon or
// without one.
func (e *opened) board() app.Switchboard { return app.Switchboard{DB: e.db, Zone: e.zone} }

func runResend(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	id := fs.String("integration", "", "`id` of the integration that gets the calls")
	from := fs.String("from", "", "calls that started on this day or at this time or later: 2026-11-20, 2026-11-20T15:04:05+03:00")
	to := fs.String("to", "", "calls that started on this day or before this time")
	call := fs.String("call", "", "only the call with this `id`")
	again := fs.Bool("again", false, "plan the calls again with the present rules; else only what is missing is sent")
	dry := fs.Bool("dry-run", false, "only count and cost; nothing is changed")
	asJSON := fs.Bool("json", false, "print JSON")
	words, err := c.parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(words) > 0:
		return usagef("resend takes flags only")
	case *id == "":
		return usagef("-integration is missing; `callbridge integrations list` shows them")
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	if *call != "" {
		if _, err := e.db.Call(ctx, *call); errors.Is(err, store.ErrNotFound) {
			return usagef("-call %q: there is no such call", *call)
		} else if err != nil {
			return err
		}
	}
	board := e.board()
	st, err := board.Standing(ctx, *id)
	if err != nil {
		return err
	}
	req := app.ResendRequest{Again: *again, ResendFilter: store.ResendFilter{Integration: *id, CallID: *call}}
	if req.From, err = moment(*from, st.Zone, false); err != nil {
		return usagef("-from %q: %v", *from, err)
	}
	if req.To, err = moment(*to, st.Zone, true); err != nil {
		return usagef("-to %q: %v", *to, err)
	}
	// Count and cost come first (F-9), also when it is meant in earnest.
	p, err := board.Resend(ctx, req, true)
	if err != nil {
		return err
	}
	if !*asJSON {
		fmt.Fprintf(c.out, "%d actions of %d calls, about %d requests, %s at the rate %s allows.\n", p.Cost.Deliveries, p.Calls, p.Cost.Requests,
			took(p.Cost.Took), *id)
		for _, k := range bridge.ActionKinds() {
			if n := p.ByKind[k]; n > 0 {
				fmt.Fprintf(c.out, "  %-14s %d\n", k, n)
			}
		}
		if p.Same > 0 {
			fmt.Fprintf(c.out, "%d are done or under way and stay as they are.\n", p.Same)
		}
		if p.Dropped > 0 {
			fmt.Fprintf(c.out, "%d are not wanted by the present rules any more.\n", p.Dropped)
		}
	}
	if !*dry {
		if p, err = board.Resend(ctx, req, false); err != nil {
			return err
		}
	}
	switch {
	case *asJSON:
		return printJSONLines(c.out, []app.ResendPlan{p})
	case *dry:
		fmt.Fprintln(c.out, "Nothing was changed. Leave -dry-run out to send them.")
	case p.Refused:
		fmt.Fprintf(c.out, "They are held: the CRM refuses the credentials of %s. Correct them, then `callbridge integrations activate %s --resend` sends them.\n", *id, *id)
	case p.Held:
		fmt.Fprintf(c.out, "They are held: %s is off. `callbridge integrations activate %s --resend` sends them.\n", *id, *id)
	case p.Cost.Deliveries > 0:
		fmt.Fprintln(c.out, "They go out behind fresh calls; the running daemon begins within seconds.")
	}
	return nil
}

// moment reads a day of the integration's zone (its end, for -to) or a time.
func moment(text string, zone *time.Location, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("want a day such as 2026-11-20, or a time such as 2026-11-20T15:04:05+03:00")
	}
	y, m, d := t.Date()
	if end {
		d++
	}
	return deliver.DayStart(y, m, d, zone), nil
}

func took(d time.Duration) string {
	switch {
	case d <= 0:
		return "at once"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	}
	return fmt.Sprintf("%.1f min", d.Minutes())
}
