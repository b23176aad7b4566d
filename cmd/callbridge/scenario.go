package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"callbridge/bridge/phone"
	"callbridge/pbx/ari/arisim"
	"callbridge/pbx/ari/aristream"
)

// wish is which calls the demo is to play, and how; empty: a working day.
type wish struct {
	names, client, line string
	ring, talk          time.Duration
	speed               float64
	list                bool
}

func wishes(fs *flag.FlagSet) *wish {
	w := &wish{}
	fs.StringVar(&w.names, "scenario", "", "play these calls only, one after another: `name,…` (see -list)")
	fs.StringVar(&w.client, "client", "", "with -scenario: the client's `number`; empty: as recorded")
	fs.StringVar(&w.line, "line", "", "with -scenario: the `number` the client calls; empty: as recorded")
	fs.DurationVar(&w.ring, "ring", 0, "with -scenario: let it ring so much longer than recorded")
	fs.DurationVar(&w.talk, "talk", 0, "with -scenario: let them talk so much longer than recorded")
	fs.Float64Var(&w.speed, "speed", 1, "with -scenario: 2 plays twice as fast, 0.5 half as fast")
	fs.BoolVar(&w.list, "list", false, "list the calls that can be played, and end")
	return w
}

// listScenarios names every call that can be played.
func listScenarios(out io.Writer) error {
	sim := arisim.New(arisim.Options{})
	defer sim.Close()
	for _, name := range aristream.Names() {
		if _, err := sim.Frames(name); err != nil {
			continue // recorded through several websockets, or without an event
		}
		if _, err := fmt.Fprintln(out, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *wish) scenarios() []string {
	if w.names == "" {
		return nil
	}
	return strings.Split(w.names, ",")
}

// check refuses wishes that cannot be granted.
func (w *wish) check() error {
	for _, name := range w.scenarios() {
		if !slices.Contains(aristream.Names(), name) {
			return usagef("-scenario: there is no recorded call %q; `-list` names those there are", name)
		}
	}
	switch {
	case w.ring < 0 || w.talk < 0 || w.ring > time.Hour || w.talk > time.Hour:
		return usagef("-ring and -talk: want between 0 and 1h")
	case w.speed < 0.05 || w.speed > 100:
		return usagef("-speed: want between 0.05 and 100")
	}
	for flag, number := range map[string]string{"-client": w.client, "-line": w.line} {
		if number == "" {
			continue
		}
		if _, kind := phone.Parse(number, "RU"); kind != phone.Public {
			return usagef("%s: %q is no public number", flag, number)
		}
	}
	return nil
}

// play plays the wished calls, one after another and again, until ctx ends.
func (w *wish) play(ctx context.Context, sim *arisim.Sim, every time.Duration, out io.Writer) error {
	digits := func(s string) string {
		n, _ := phone.Parse(s, "RU") // checked before
		return n.Digits()
	}
	o := arisim.PlayOptions{Client: digits(w.client), Line: digits(w.line), Ring: w.ring, Talk: w.talk, Speed: w.speed}
	for {
		for _, name := range w.scenarios() {
			fmt.Fprintf(out, "%s  %s\n", time.Now().Format(time.TimeOnly), name)
			if _, err := sim.Play(ctx, name, o); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return errors.Join(fmt.Errorf("scenario %s", name), err)
			}
			t := time.NewTimer(every)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil
			}
		}
	}
}
