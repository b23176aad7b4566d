package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"callbridge/bridge/app"
	"callbridge/bridge/staff"
	"callbridge/bridge/web"
)

// runSync reads the employees of CRMs now: what the button of the console does.
func runSync(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print JSON")
	shorter := fs.Bool("take-shorter", false, "take a list that lost half of its people or more")
	chosen := fs.String("import", "", "add these `users` of the CRM to the employees: ids, separated by commas, or all who have an extension")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if (*shorter || *chosen != "") && len(words) != 1 {
		return usagef("--take-shorter and --import are for one integration: name it")
	}
	return c.withApp(ctx, *conf, func(a *app.App) error {
		ids := words
		if len(ids) == 0 {
			for _, in := range a.Integrations() {
				ids = append(ids, in.ID)
			}
		}
		var errs []error
		for _, id := range ids {
			if err := c.syncOne(ctx, a, id, *shorter, *chosen, *asJSON); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", id, err))
			}
		}
		return errors.Join(errs...)
	})
}

func (c *cli) syncOne(ctx context.Context, a *app.App, id string, shorter bool, chosen string, asJSON bool) error {
	_, _, err := a.TakeStaff(ctx, id, shorter)
	if alarm, ok := errors.AsType[*staff.Shrunken](err); ok {
		return fmt.Errorf("%w. No longer there: %s. If that is right: callbridge sync --take-shorter %s", err, strings.Join(alarm.Gone, ", "), id)
	}
	if err != nil {
		return err
	}
	s, err := a.Staff(ctx, id)
	if err != nil {
		return err
	}
	if chosen != "" {
		n, err := a.ImportStaff(ctx, "command line", id, choose(s, chosen))
		if err != nil {
			return err
		}
		if s, err = a.Staff(ctx, id); err != nil {
			return err
		}
		if !asJSON {
			fmt.Fprintf(c.out, "%s: %d employees imported\n", id, n)
		}
	}
	if asJSON {
		return printJSONLines(c.out, []web.Staff{s})
	}
	fmt.Fprintf(c.out, "%s: %d extensions are joined to users of the CRM\n", id, s.Joined)
	for _, text := range s.Issues {
		fmt.Fprintf(c.out, "  %s\n", text)
	}
	if len(s.Changes) > 0 && s.Changes[0].At == s.SyncedAt {
		fmt.Fprintln(c.out, "What changed in the CRM:")
		for _, text := range s.Changes[0].What {
			fmt.Fprintf(c.out, "  %s\n", text)
		}
	}
	return nil
}

// choose makes the list to import.
func choose(s web.Staff, chosen string) []web.Chosen {
	var out []web.Chosen
	if chosen == "all" {
		for _, p := range s.People {
			if p.Active && p.Extension != "" && p.Ours == "" {
				out = append(out, web.Chosen{User: p.User})
			}
		}
		return out
	}
	for _, u := range strings.Split(chosen, ",") {
		out = append(out, web.Chosen{User: strings.TrimSpace(u)})
	}
	return out
}
