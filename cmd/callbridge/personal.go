package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"callbridge/bridge/app"
)

// runPersonal searches, exports and erases what is kept about a number, beside
// a running daemon or without one.
func runPersonal(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print JSON")
	yes := fs.Bool("yes", false, "erase: really; without it only what would be erased is shown")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	// A number may be written in several words: +7 916 123-45-67.
	if len(words) == 0 || words[0] != "retention" && len(words) < 2 {
		return usagef("say `personal search`, `personal export` or `personal erase` with a number, or `personal retention`")
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	if words[0] == "retention" {
		return e.retention(c, *asJSON)
	}
	n := e.number(strings.Join(words[1:], " "))
	if n == "" {
		return usagef("%q is no telephone number; write it as in +79161234567", strings.Join(words[1:], " "))
	}
	switch words[0] {
	case "export":
		got, err := e.db.ExportPersonal(ctx, n)
		if err != nil {
			return err
		}
		return indented(c, got)
	case "search":
	case "erase":
		if *yes {
			got, err := e.db.Erase(ctx, n)
			if err != nil {
				return err
			}
			if err := e.db.AddAudit(ctx, "command line", "erase", ""); err != nil {
				return err
			}
			if *asJSON {
				return indented(c, got)
			}
			fmt.Fprintf(c.out, "Erased: %d calls, %d events, %d deliveries (%d were not over and will not be made), %d mentions.\n",
				got.Calls, got.Events, got.Deliveries, got.Skipped, got.Mentions)
			for _, r := range got.Recordings {
				fmt.Fprintf(c.out, "Remove this recording on the PBX: %s\n", r)
			}
			return nil
		}
	default:
		return usagef("%q is unknown; say search, export, erase or retention", words[0])
	}
	got, err := e.db.SearchPersonal(ctx, n)
	if err != nil {
		return err
	}
	if *asJSON {
		return indented(c, got)
	}
	fmt.Fprintf(c.out, "Calls %d, events %d, deliveries %d (%d not over), known from CRMs %d, missed %d, clicks %d, mentions %d, recordings %d\n",
		got.Calls, got.Events, got.Deliveries, got.Open, got.Contacts, got.Missed, got.Clicks, got.Mentioned, len(got.Recordings))
	if words[0] == "erase" {
		fmt.Fprintln(c.out, "Nothing was erased. `callbridge personal erase -yes NUMBER` erases it; there is no way back.")
	}
	return nil
}

func (e *opened) retention(c *cli, asJSON bool) error {
	list := app.Retention(e.cfg.Keep)
	if asJSON {
		return indented(c, list)
	}
	for _, k := range list {
		days := fmt.Sprintf("%d days", k.Days)
		if k.Days == 0 {
			days = "for ever"
		}
		fmt.Fprintf(c.out, "%-10s %s\n", k.Kind, days)
	}
	return nil
}

func indented(c *cli, v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
