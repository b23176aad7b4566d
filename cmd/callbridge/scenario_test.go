package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/pbx/ari/arisim"
	"callbridge/pbx/ari/aristream"
)

// TestScenarios: the calls are listed, and wrong wishes are refused with what
// to do about it.
func TestScenarios(t *testing.T) {
	for _, cmd := range []string{"demo", "load"} {
		code, out, errOut := call(t, "", cmd, "-list")
		lines := strings.Fields(out)
		if code != 0 || len(lines) < len(aristream.Names())-6 || !strings.Contains(out, "queue_abandoned\n") {
			t.Errorf("%s -list: %d, %d lines, %s", cmd, code, len(lines), errOut)
		}
	}
	for args, want := range map[string]string{
		"-scenario nonsense":                  "`-list` names those there are",
		"-scenario in_answered -ring -3s":     "between 0 and 1h",
		"-scenario in_answered -speed 1000":   "between 0.05 and 100",
		"-scenario in_answered -client hello": "no public number",
	} {
		code, _, errOut := call(t, "", append([]string{"demo"}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(errOut, want) {
			t.Errorf("demo %s: %d, %s", args, code, errOut)
		}
	}
}

// TestChosenTimings: a call rings and lasts as long as wished.
func TestChosenTimings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := arisim.New(arisim.Options{})
		sim.StartPipe()
		defer sim.Close()
		took := func(o arisim.PlayOptions) time.Duration {
			began := time.Now()
			if _, err := sim.Play(t.Context(), "in_answered", o); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		plain := took(arisim.PlayOptions{})
		for want, o := range map[time.Duration]arisim.PlayOptions{5 * time.Second: {Ring: 5 * time.Second}, time.Minute: {Talk: time.Minute}, 65 * time.Second: {Ring: 5 * time.Second, Talk: time.Minute}} {
			if longer := took(o) - plain; longer < want-50*time.Millisecond || longer > want+50*time.Millisecond {
				t.Errorf("%+v makes it %v longer, want %v", o, longer, want)
			}
		}
	})
}
