package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/store"
)

func runIntegrations(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print JSON")
	resend := fs.Bool("resend", false, "activate: send what was held of today and the two days before")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"list"}
	}
	verbs := []string{"check", "activate", "deactivate"}
	switch {
	case words[0] == "list" && len(words) == 1:
		return c.listIntegrations(ctx, *conf, *asJSON)
	case slices.Contains(verbs, words[0]) && len(words) == 2:
	default:
		return usagef("say `integrations list`, or one of check, activate, deactivate with the id of an integration")
	}
	if words[0] == "check" {
		return c.checkIntegration(ctx, *conf, words[1], *asJSON)
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	return e.switchIntegration(ctx, c.out, words[1], words[0] == "activate", *resend)
}

// integrationRow is one line of the list; the names are those of the JSON.
type integrationRow struct {
	ID      string                         `json:"id"`
	Kind    string                         `json:"kind"`
	State   string                         `json:"state"` // active, inactive, held
	Since   bridge.Time                    `json:"since,omitzero"`
	Reason  string                         `json:"reason,omitempty"`
	ByState map[bridge.DeliveryState]int64 `json:"deliveries"`
}

func (c *cli) listIntegrations(ctx context.Context, conf string, asJSON bool) error {
	e, err := c.open(ctx, conf)
	if err != nil {
		return err
	}
	defer e.close()
	s, _, err := e.db.Settings(ctx)
	if err != nil {
		return err
	}
	counts, err := e.db.DeliveryCounts(ctx)
	if err != nil {
		return err
	}
	var rows []integrationRow
	for _, in := range s.Integrations {
		st, err := e.db.IntegrationState(ctx, in.ID)
		if err != nil {
			return err
		}
		r := integrationRow{ID: in.ID, Kind: in.Kind, State: "active", ByState: map[bridge.DeliveryState]int64{}}
		switch {
		case !st.Active:
			r.State, r.Since, r.Reason = "held", st.HeldSince, st.HeldReason
		case !in.Active:
			r.State = "inactive"
		}
		for _, n := range counts {
			if n.Integration == in.ID {
				r.ByState[n.State] = n.Count
			}
		}
		rows = append(rows, r)
	}
	if asJSON {
		return printJSONLines(c.out, rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(c.out, "No integrations yet: `callbridge apply settings.yaml` puts them in force.")
		return err
	}
	t := tabwriter.NewWriter(c.out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tKIND\tSTATE\tDONE\tWAITING\tHELD\tFAILED\tSKIPPED\tREASON")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", r.ID, r.Kind, r.State, r.ByState[bridge.Done],
			r.ByState[bridge.Waiting]+r.ByState[bridge.Trying], r.ByState[bridge.Held], r.ByState[bridge.Refused], r.ByState[bridge.Skipped], r.Reason)
	}
	return t.Flush()
}

// withApp opens the program without starting it: for commands that talk to CRMs.
func (c *cli) withApp(ctx context.Context, conf string, do func(*app.App) error) error {
	cfg, err := c.load(conf)
	if err != nil {
		return err
	}
	key, err := secretKey(cfg)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.errOut, &slog.HandlerOptions{Level: slog.LevelError}))
	a, err := app.New(ctx, app.Options{Config: cfg, Key: key, Log: log, Version: version})
	if err != nil {
		return err
	}
	return errors.Join(do(a), a.Stop(context.WithoutCancel(ctx)))
}

func (c *cli) checkIntegration(ctx context.Context, conf, id string, asJSON bool) error {
	return c.withApp(ctx, conf, func(a *app.App) error {
		rep, err := a.Check(ctx, id)
		if err != nil {
			return err
		}
		if asJSON {
			if err := printJSONLines(c.out, []any{rep}); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(c.out, "Account: %s\n", rep.Account)
		}
		bad := 0
		for _, l := range rep.Lines {
			mark := "ok     "
			if !l.OK {
				bad++
				mark = "MISSING"
			}
			if !asJSON {
				fmt.Fprintf(c.out, "%s  %s\n", mark, l.What)
				if l.Help != "" && !l.OK {
					fmt.Fprintf(c.out, "         %s\n", l.Help)
				}
			}
		}
		if bad > 0 {
			return fmt.Errorf("%d of %d checks failed", bad, len(rep.Lines))
		}
		return nil
	})
}

// switchIntegration activates or deactivates. Without resend, what was held
// expires on activation and can still be sent by hand while it is kept.
func (e *opened) switchIntegration(ctx context.Context, out io.Writer, id string, on, resend bool) error {
	if !on {
		d, err := e.board().Deactivate(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is off; %d deliveries are held. New calls are kept.\n", id, d.Held)
		return e.db.AddAudit(ctx, "command line", "deactivate", id)
	}
	d, err := e.board().Activate(ctx, id, "command line", resend)
	if err != nil {
		return err
	}
	if err := e.db.AddAudit(ctx, "command line", "activate", id); err != nil {
		return err
	}
	r := d.Released
	fmt.Fprintf(out, "%s is active: %d deliveries go out now", id, r.Waiting)
	if d.Took.Took > 0 {
		fmt.Fprintf(out, " (caught up in %s)", took(d.Took.Took))
	}
	fmt.Fprintf(out, ", %d expired, %d stay held because a right is missing.\n", r.Expired, r.Held)
	if r.Expired > 0 {
		fmt.Fprintf(out, "What expired can still be sent: callbridge resend -integration %s -dry-run\n", id)
	}
	return printDays(out, d.Before, d.After)
}

// printDays shows the held, waiting, done and expired of each day, before and after.
func printDays(out io.Writer, before, after []store.LedgerRow) error {
	if len(after) == 0 {
		return nil
	}
	was := map[string]map[bridge.DeliveryState]int64{}
	for _, r := range before {
		was[r.Day] = r.ByState
	}
	t := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DAY\tHELD\tWAITING\tDONE\tFAILED\tEXPIRED\tSKIPPED")
	for _, r := range after {
		fmt.Fprint(t, r.Day)
		for _, s := range []bridge.DeliveryState{bridge.Held, bridge.Waiting, bridge.Done, bridge.Refused, bridge.Expired, bridge.Skipped} {
			if a, b := was[r.Day][s], r.ByState[s]; a != b {
				fmt.Fprintf(t, "\t%d → %d", a, b)
			} else {
				fmt.Fprintf(t, "\t%d", b)
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
