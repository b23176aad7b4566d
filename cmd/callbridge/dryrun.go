package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"callbridge/bridge/app"
	"callbridge/bridge/rules"
)

// runDryrun compares the rules of a settings file with those in force, on
// stored calls (F-4). It opens no connection to anything but the store.
func runDryrun(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	days := fs.Int("days", 7, "how many days back")
	asJSON := fs.Bool("json", false, "print JSON")
	most := fs.Int("limit", 20, "how many differences are listed")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	switch {
	case len(words) != 1:
		return usagef("name one settings file, or - for standard input")
	case *days < 1 || *days > 366:
		return usagef("-days is 1 to 366")
	}
	e, next, present, err := c.nextSettings(ctx, *conf, words[0])
	if err != nil {
		return err
	}
	defer e.close()
	calls, err := app.StoredCalls(ctx, e.db, time.Now().AddDate(0, 0, -*days))
	if err != nil {
		return err
	}
	d := rules.Compare(calls, present.Integrations, next.Integrations, *most)
	if *asJSON {
		return printJSONLines(c.out, []rules.DryRun{d})
	}
	return e.printDryRun(ctx, c, d, *days)
}

func (e *opened) printDryRun(ctx context.Context, c *cli, d rules.DryRun, days int) error {
	fmt.Fprintf(c.out, "%d calls of %d days; nothing was sent anywhere.\n", d.Calls, days)
	if len(d.Counts) > 0 {
		fmt.Fprintln(c.out)
		t := tabwriter.NewWriter(c.out, 2, 0, 2, ' ', 0)
		fmt.Fprintln(t, "INTEGRATION\tACTION\tNOW\tTHEN\tCREATED\tNOT CREATED\tCHANGED")
		for _, n := range d.Counts {
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", n.Integration, n.Kind, n.Present, n.Next, n.Created, n.NotCreated, n.Changed)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, x := range d.Differences {
		fmt.Fprintf(c.out, "\n%s %s of call %s (%s)\n", x.Effect, x.Kind, x.CallID, x.Integration)
		if x.Was != "" && x.Effect != rules.WouldChange {
			fmt.Fprintf(c.out, "    now:  %s\n", x.Was)
		}
		if x.Now != "" && x.Effect != rules.WouldChange {
			fmt.Fprintf(c.out, "    then: %s\n", x.Now)
		}
		for _, s := range x.Changed {
			fmt.Fprintf(c.out, "    %s\n", s)
		}
	}
	switch {
	case d.Touched() == 0:
		fmt.Fprintln(c.out, "\nNothing would have been otherwise.")
	case d.Left > 0:
		fmt.Fprintf(c.out, "\n… and %d more.\n", d.Left)
	}
	return nil
}
