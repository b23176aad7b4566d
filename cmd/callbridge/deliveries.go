package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// deliveryFlags are what the verbs of `callbridge deliveries` take.
type deliveryFlags struct {
	integration, state, day, from, to, note *string
	all, asJSON                             *bool
	limit                                   *int
	set                                     assignments
}

// assignments are repeated -set name=value flags.
type assignments []string

func (a *assignments) String() string     { return strings.Join(*a, " ") }
func (a *assignments) Set(s string) error { *a = append(*a, s); return nil }

const deliveryVerbs = "say `deliveries list`, `deliveries ledger`, or one of show, retry, skip, repair with the ids of deliveries"

func deliveryFlagsOf(fs *flag.FlagSet) *deliveryFlags {
	f := &deliveryFlags{
		asJSON:      fs.Bool("json", false, "list, ledger, show: print JSON, one object per line"),
		integration: fs.String("integration", "", "list, ledger, retry: only of this integration `id`"),
		state:       fs.String("state", "", "list: only in this state: done, waiting, trying, held, skipped, failed, expired"),
		day:         fs.String("day", "", "list, retry: only of this day of the ledger, such as 2026-11-20"),
		from:        fs.String("from", "", "ledger: from this day on; without it the last seven days"),
		to:          fs.String("to", "", "ledger: up to this day"),
		all:         fs.Bool("all", false, "retry: all that failed or expired of -integration"),
		limit:       fs.Int("limit", 50, "list: how many, newest first"),
		note:        fs.String("note", "skipped by hand", "skip: why, for the ledger"),
	}
	fs.Var(&f.set, "set", "repair: what is corrected: title=, text=, responsible=, scheme=, due= or field:NAME= with the new `value`; may be repeated")
	return f
}

func runDeliveries(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	f := deliveryFlagsOf(fs)
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
	if err := f.check(words[0], ids); err != nil {
		return err
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.known(ctx, *f.integration); err != nil {
		return err
	}
	switch words[0] {
	case "ledger":
		return c.printLedger(ctx, e, f)
	case "show":
		return c.showDeliveries(ctx, e, ids, *f.asJSON)
	case "retry":
		return c.retryDeliveries(ctx, e, f, ids)
	case "repair":
		return c.repairDelivery(ctx, e, ids[0], f.set)
	case "skip":
		n, err := e.db.SkipDeliveries(ctx, ids, *f.note)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d of %d deliveries are skipped.\n", n, len(ids))
		return nil
	}
	return c.listDeliveries(ctx, e, f)
}

// check refuses what makes no sense before the store is opened.
func (f *deliveryFlags) check(verb string, ids []int64) error {
	if *f.state != "" && !slices.Contains(bridge.DeliveryStates(), bridge.DeliveryState(*f.state)) {
		return usagef("-state %q: want one of %v", *f.state, bridge.DeliveryStates())
	}
	for name, day := range map[string]string{"day": *f.day, "from": *f.from, "to": *f.to} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return usagef("-%s %q: want a day such as 2026-11-20", name, day)
		}
	}
	switch verb {
	case "list", "ledger":
		if len(ids) == 0 {
			return nil
		}
	case "retry":
		if *f.all && *f.integration == "" {
			return usagef("-all needs -integration")
		}
		if (len(ids) > 0) != *f.all {
			return nil
		}
		return usagef("say which: `deliveries retry ID…`, or `deliveries retry -all -integration ID`")
	case "repair":
		if len(ids) == 1 && len(f.set) > 0 {
			return nil
		}
		return usagef("say `deliveries repair ID -set responsible=ivan@example.ru`; `deliveries show ID` says what the CRM wants")
	case "show", "skip":
		if len(ids) > 0 {
			return nil
		}
	}
	return usagef(deliveryVerbs)
}

func (c *cli) listDeliveries(ctx context.Context, e *opened, f *deliveryFlags) error {
	rows, err := e.db.Deliveries(ctx, store.DeliveryFilter{Integration: *f.integration, State: bridge.DeliveryState(*f.state), Day: *f.day, Limit: *f.limit, Newest: true})
	if err != nil {
		return err
	}
	if *f.asJSON {
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

// printLedger is the equation of F-1, per integration and day.
func (c *cli) printLedger(ctx context.Context, e *opened, f *deliveryFlags) error {
	from := *f.from
	if from == "" {
		from = time.Now().In(e.zone).AddDate(0, 0, -6).Format(time.DateOnly)
	}
	rows, err := e.db.Ledger(ctx, from, *f.to)
	if err != nil {
		return err
	}
	if *f.integration != "" {
		rows = slices.DeleteFunc(rows, func(r store.LedgerRow) bool { return r.Integration != *f.integration })
	}
	wrong := 0
	for _, r := range rows {
		if r.Imbalance != 0 {
			wrong++
		}
	}
	if *f.asJSON {
		if err := printJSONLines(c.out, rows); err != nil {
			return err
		}
	} else {
		t := tabwriter.NewWriter(c.out, 2, 0, 2, ' ', 0)
		fmt.Fprint(t, "DAY\tINTEGRATION\tCAME IN")
		for _, s := range bridge.DeliveryStates() {
			fmt.Fprint(t, "\t", strings.ToUpper(string(s)))
		}
		fmt.Fprintln(t, "\tBALANCE")
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%d", r.Day, r.Integration, r.Planned)
			for _, s := range bridge.DeliveryStates() {
				fmt.Fprintf(t, "\t%d", r.ByState[s])
			}
			if r.Imbalance == 0 {
				fmt.Fprintln(t, "\tok")
			} else {
				fmt.Fprintf(t, "\t%+d\n", r.Imbalance)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d rows do not balance: please report this with the case file of a call of that day", wrong)
	}
	return nil
}

// shownDelivery is a delivery with everything that was asked and answered.
type shownDelivery struct {
	bridge.Delivery
	Advice string          `json:"advice,omitempty"`
	Tries  []store.Attempt `json:"tries"`
}

func (c *cli) showDeliveries(ctx context.Context, e *opened, ids []int64, asJSON bool) error {
	rows, err := e.db.Deliveries(ctx, store.DeliveryFilter{IDs: ids, Limit: len(ids)})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("there is no such delivery; `callbridge deliveries list` shows them")
	}
	for _, d := range rows {
		x := shownDelivery{Delivery: d}
		_, x.Advice = d.Advice()
		if x.Tries, err = e.db.Attempts(ctx, d.ID); err != nil {
			return err
		}
		if asJSON {
			if err := printJSONLines(c.out, []shownDelivery{x}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.out, "%d  %s of call %s for %s: %s, tried %d times\n", d.ID, d.Action.Kind, d.CallID, d.Integration, d.State, d.Attempts)
		for _, line := range [][2]string{{"why", d.Action.Reason}, {"rule", d.Action.Rule}, {"note", d.Note}, {"error", d.Error}, {"object", strings.TrimSpace(d.ObjectID + " " + d.ObjectURL)}, {"do", x.Advice}} {
			if line[1] != "" {
				fmt.Fprintf(c.out, "  %-7s %s\n", line[0], line[1])
			}
		}
		for _, try := range x.Tries {
			fmt.Fprintf(c.out, "  %s  HTTP %d, %d ms\n", e.local(try.At), try.Code, try.TookMS)
			for _, text := range []string{try.Request, try.Response, try.Error} {
				for line := range strings.Lines(strings.TrimSpace(text)) {
					fmt.Fprintf(c.out, "    %s\n", strings.TrimRight(line, "\n"))
				}
			}
		}
	}
	return nil
}

func (c *cli) retryDeliveries(ctx context.Context, e *opened, f *deliveryFlags, ids []int64) error {
	n, err := e.board().Retry(ctx, store.DeliveryFilter{IDs: ids, Integration: *f.integration, Day: *f.day})
	if err != nil {
		return err
	}
	if *f.all {
		fmt.Fprintf(c.out, "%d deliveries wait again; the running daemon tries them within seconds.\n", n)
		return nil
	}
	fmt.Fprintf(c.out, "%d of %d deliveries wait again; the running daemon tries them within seconds.\n", n, len(ids))
	if n == 0 {
		return errors.New("none of them can be tried again: unknown, done, or not wanted by the rules")
	}
	return nil
}

// repairOf reads -set flags.
func repairOf(set []string) (bridge.Repair, error) {
	var r bridge.Repair
	for _, s := range set {
		name, v, ok := strings.Cut(s, "=")
		if !ok {
			return r, usagef("-set %q: want name=value", s)
		}
		field, isField := strings.CutPrefix(name, "field:")
		switch {
		case isField && field != "":
			if r.Fields == nil {
				r.Fields = map[string]string{}
			}
			r.Fields[field] = v
		case name == "title":
			r.Title = &v
		case name == "text":
			r.Text = &v
		case name == "responsible":
			r.Responsible = &v
		case name == "scheme":
			r.Scheme = &v
		case name == "due":
			var d bridge.Duration
			if err := d.UnmarshalText([]byte(v)); err != nil {
				return r, usagef("-set %q: want a time such as 4h", s)
			}
			r.Due = &d
		default:
			return r, usagef("-set %q: want title, text, responsible, scheme, due or field:NAME", s)
		}
	}
	return r, nil
}

func (c *cli) repairDelivery(ctx context.Context, e *opened, id int64, set []string) error {
	r, err := repairOf(set)
	if err != nil {
		return err
	}
	d, err := e.board().Repair(ctx, "command line", id, r)
	if err != nil {
		return fmt.Errorf("delivery %d: %w", id, err)
	}
	fmt.Fprintf(c.out, "%d is corrected and %s.\n", id, d.State)
	return nil
}
