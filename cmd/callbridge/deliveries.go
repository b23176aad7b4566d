package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"

	"callbridge/bridge"
	"callbridge/store"
)

func runDeliveries(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "list: print JSON, one delivery per line")
	integration := fs.String("integration", "", "list: only of this integration `id`")
	state := fs.String("state", "", "list: only in this state: done, waiting, trying, held, skipped, failed, expired")
	limit := fs.Int("limit", 50, "list: how many, newest first")
	note := fs.String("note", "skipped by hand", "skip: why, for the ledger")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"list"}
	}
	var ids []int64
	for _, w := range words[1:] {
		id, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return usagef("%q is no number of a delivery; `deliveries list` shows them", w)
		}
		ids = append(ids, id)
	}
	if *state != "" && !slices.Contains(bridge.DeliveryStates(), bridge.DeliveryState(*state)) {
		return usagef("-state %q: want one of %v", *state, bridge.DeliveryStates())
	}
	switch {
	case words[0] == "list" && len(ids) == 0:
	case (words[0] == "retry" || words[0] == "skip") && len(ids) > 0:
	default:
		return usagef("say `deliveries list`, `deliveries retry ID…` or `deliveries skip ID…`")
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	switch words[0] {
	case "retry":
		n, err := e.db.Retry(ctx, ids)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d of %d deliveries wait again; the running daemon tries them within seconds.\n", n, len(ids))
		if n == 0 {
			return errors.New("none of them can be tried again: unknown, done, or not wanted by the rules")
		}
		return nil
	case "skip":
		n, err := e.db.SkipDeliveries(ctx, ids, *note)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d of %d deliveries are skipped.\n", n, len(ids))
		return nil
	}
	rows, err := e.db.Deliveries(ctx, store.DeliveryFilter{Integration: *integration, State: bridge.DeliveryState(*state), Limit: *limit, Newest: true})
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSONLines(c.out, rows)
	}
	t := tabwriter.NewWriter(c.out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tMADE\tINTEGRATION\tCALL\tACTION\tSTATE\tTRIES\tOBJECT\tNOTE")
	for _, d := range rows {
		text := d.Note
		if d.Error != "" {
			text = d.Error
		}
		if r := []rune(text); len(r) > 80 {
			text = string(r[:79]) + "…"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.ID, e.local(d.CreatedAt), d.Integration, d.CallID, d.Action.Kind, d.State, d.Attempts, dash(d.ObjectID), text)
	}
	return t.Flush()
}
