package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/cmd/callbridge/load"
	"callbridge/pbx/ari/arisim"
	"callbridge/pbx/ari/aristream"
)

func runLoad(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	o := load.Options{}
	fs.Float64Var(&o.Rate, "rate", 50, "calls a second")
	fs.DurationVar(&o.Duration, "duration", 20*time.Second, "for how long calls begin")
	fs.IntVar(&o.Agents, "agents", 100, "agents on websockets")
	fs.Float64Var(&o.Speed, "speed", 1, "speed of the recorded calls; the same calls a second then live shorter")
	mix := fs.String("mix", "", "recorded calls and their weights: in_answered=6,out_noanswer=1; empty: a working day")
	crms := fs.String("crm", "megaplan,retailcrm", "simulated CRMs; empty: none")
	fs.Float64Var(&o.CRMRate, "crm-rate", 0, "requests a second each CRM allows; 0: it answers all at once")
	fs.Float64Var(&o.Faults, "faults", 0, "share of requests that CRMs answer with 500, or carry out and then cut")
	fs.Float64Var(&o.Routes, "routes", 20, "routing questions a second")
	fs.StringVar(&o.Database, "database", "", "an empty PostgreSQL database (postgres://…) or sqlite:FILE; empty: SQLite in a temporary folder")
	fs.DurationVar(&o.Drain, "drain", 2*time.Minute, "how long deliveries may go on after the last call")
	fs.BoolVar(&o.Resend, "resend", false, "the CRMs are off while calls come; then they are activated with a resend, which is measured")
	fs.BoolVar(&o.Reconnect, "reconnect", false, "cut all agents at the end and let them come back at once")
	profile := fs.String("cpuprofile", "", "save the daemon's CPU profile in this `file`")
	list := fs.Bool("list", false, "list the calls that -mix can name, and end")
	asJSON := fs.Bool("json", false, "print one JSON object")
	card := fs.Float64("max-card-p99", 0, "bound: milliseconds from the ARI frame to the card, p99")
	backlog := fs.Int("max-backlog", 0, "bound: events not yet stored when the last call ends")
	route := fs.Float64("max-route-p99", 0, "bound: milliseconds of a routing answer, p99")
	perAgent := fs.Float64("max-agent-kb", 0, "bound: KB of the daemon per agent")
	delivered := fs.Float64("min-delivered", 0, "bound: calls a second that reach the CRMs")
	memory := fs.Float64("max-mb", 0, "bound: peak memory of the daemon in MB")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("load takes no words")
	}
	if *list {
		return listScenarios(c.out)
	}
	if o.Mix, err = mixOf(*mix); err != nil {
		return err
	}
	if *crms != "" {
		o.CRMs = strings.Split(*crms, ",")
	}
	if o.Binary, err = os.Executable(); err != nil {
		return err
	}
	if *profile != "" {
		o.Env = append(o.Env, profileVariable+"="+*profile)
	}
	if !*asJSON {
		o.Progress = c.out
	}
	rep, err := load.Run(ctx, o)
	if err != nil {
		return err
	}
	rep.Bound("ARI frame to card, p99", rep.CardP99MS, *card, "ms")
	rep.Bound("backlog at the end", float64(rep.BacklogEnd), float64(*backlog), "events")
	rep.Bound("routing answer, p99", rep.RouteP99MS, *route, "ms")
	rep.Bound("memory per agent", rep.BytesPerAgent/1024, *perAgent, "KB")
	rep.Bound("peak memory", rep.PeakMB, *memory, "MB")
	rep.AtLeast("calls delivered", rep.DeliveredCallsPS, *delivered, "calls/s")
	rep.Always()
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(rep)
	} else {
		err = rep.Print(c.out)
	}
	if err == nil && len(rep.Missed) > 0 {
		err = errors.New("a bound was not kept: " + strings.Join(rep.Missed, "; "))
	}
	return err
}

// mixOf reads scenario=weight,….
func mixOf(text string) ([]arisim.Weighted, error) {
	if text == "" {
		return slices.DeleteFunc(arisim.DefaultMix(), func(w arisim.Weighted) bool { return w.Scenario == "in_anonymous" }), nil
	}
	var out []arisim.Weighted
	for _, part := range strings.Split(text, ",") {
		name, weight, has := strings.Cut(part, "=")
		n, err := 1, error(nil)
		if has {
			n, err = strconv.Atoi(weight)
		}
		if err != nil || n < 1 {
			return nil, usagef("-mix: %q is no weight", weight)
		}
		if !slices.Contains(aristream.Names(), name) {
			return nil, usagef("-mix: there is no recorded call %q; there are %s", name, fmt.Sprint(aristream.Names()))
		}
		out = append(out, arisim.Weighted{Scenario: name, Weight: n})
	}
	return out, nil
}
