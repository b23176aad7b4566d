package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"callbridge/cmd/callbridge/load"
)

// TestLoadMeasures is a small run from outside: the built program drives
// itself, every card comes, every call is in the CRM once, and a bound that is
// not kept gives exit code 1.
func TestLoadMeasures(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "callbridge")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), bin, "load", "-rate", "10", "-duration", "2s", "-speed", "5", "-agents", "20", "-reconnect",
		"-mix", "in_answered", "-crm", "retailcrm", "-json", "-max-mb", "1")
	out, err := cmd.Output()
	if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != exitFailed || !strings.Contains(string(e.Stderr), "peak memory") {
		t.Fatalf("a daemon within 1 MB: %v", err)
	}
	var rep load.Report
	if err := json.Unmarshal(out, &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Calls != 20 || rep.CardsMissing != 0 || rep.Cards < 20 || rep.CRMCalls != 20 || rep.CRMTwice != 0 || rep.Undelivered != 0 || rep.Imbalance != 0 ||
		rep.CardP99MS <= 0 || rep.CPUSeconds <= 0 || rep.BytesPerAgent == 0 || len(rep.Missed) != 1 {
		t.Errorf("measured %+v", rep)
	}

	// The CRM is off while twenty calls come, and gets them afterwards.
	out, err = exec.CommandContext(t.Context(), bin, "load", "-rate", "10", "-duration", "2s", "-speed", "5", "-agents", "20", "-resend",
		"-mix", "in_answered", "-crm", "retailcrm", "-crm-rate", "100", "-json").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rep = load.Report{}
	if err := json.Unmarshal(out, &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Held == 0 || rep.ResendS <= 0 || rep.LimitS <= 0 || rep.FreshP99MS <= 0 || rep.CRMCalls != 20+25 || rep.CRMTwice != 0 || rep.Undelivered != 0 || rep.Imbalance != 0 {
		t.Errorf("resent %+v", rep)
	}
}

func TestLoadRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{{"load", "-mix", "no_such_call"}, {"load", "-mix", "in_answered=x"}, {"load", "word"}} {
		var out, errOut strings.Builder
		if code := run(t.Context(), args, nil, &out, &errOut); code != exitUsage {
			t.Errorf("%v: exit code %d: %s", args, code, errOut.String())
		}
	}
}
