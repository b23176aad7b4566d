package cdr_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/cdr"
)

// benchColumns are those of the bench's cdr_custom.conf.
var benchColumns = strings.Split("start,src,dst,channel,dstchannel,disposition,duration,billsec,uniqueid,linkedid,answer,end,lastapp,lastdata,sequence", ",")

func at(clock string) bridge.Time {
	t, err := time.Parse("2006-01-02 15:04:05.999", "2026-11-22 "+clock)
	if err != nil {
		panic(err)
	}
	return bridge.At(t)
}

func channel(name string) bridge.Channel {
	tech, rest, _ := strings.Cut(name, "/")
	rest, _, _ = strings.Cut(rest, "-")
	switch {
	case tech == "Local":
		return bridge.Channel{Helper: true, Pair: strings.TrimRight(name, "12")}
	case len(rest) == 3:
		return bridge.Channel{Extension: rest}
	}
	return bridge.Channel{Trunk: rest}
}

func bench(t *testing.T, from string) []cdr.Record {
	t.Helper()
	list, bad, err := cdr.ReadCSV("testdata/asterisk22.csv", benchColumns, time.UTC, at(from))
	if err != nil || bad > 0 {
		t.Fatalf("%d bad lines, %v", bad, err)
	}
	return list
}

func gap(from, to string) []bridge.Event {
	return []bridge.Event{
		{ID: "lost", PBX: "office", Kind: bridge.LinkLost, At: at(to), From: at(from), To: at(to)},
		{ID: "up", PBX: "office", Kind: bridge.LinkUp, At: at(to), Snapshot: &bridge.Snapshot{StartedAt: at("01:00:00")}},
	}
}

func show(c *bridge.Call) string {
	s := fmt.Sprintf("%s %s %s client=%s line=%s queue=%s rang=%v by=%v", c.Direction, c.Outcome, c.Reason, c.Client, c.Line, c.Queue, c.Rang, c.AnsweredBy)
	if c.TalkMS != nil {
		s += fmt.Sprintf(" talk=%d", *c.TalkMS/1000)
	}
	if c.HungUpBy != "" || len(c.Gaps) != 1 || c.Gaps[0].Reason != track.GapRepaired {
		s += fmt.Sprintf(" hung up by %q, gaps %v", c.HungUpBy, c.Gaps)
	}
	return s
}

// F-2: calls that began and ended while nobody listened are made from the
// records a real Asterisk 22 wrote of them.
func TestF02CallsInsideTheGapAreAdded(t *testing.T) {
	r := cdr.Events(cdr.Input{PBX: "office", From: at("07:27:00"), To: at("07:30:00"), Records: bench(t, "07:27:00"), Channel: channel})
	if len(r.Added) != 9 || len(r.Closed)+len(r.Unknown) != 0 {
		t.Errorf("added %v, closed %v, unknown %v", r.Added, r.Closed, r.Unknown)
	}
	want := []string{
		"in answered  client=+79161234567 line=+74951234567 queue= rang=[101] by=[101] talk=2",
		"in answered  client=+79161234567 line=+74951234567 queue= rang=[101] by=[101] talk=3",
		"in missed no_answer client=+79161234567 line=+74951234567 queue= rang=[101] by=[]",
		"in missed unknown client=+79161234567 line=+74957654323 queue= rang=[] by=[]",
		"in answered  client=+79161234567 line=+78005553535 queue= rang=[101 102] by=[102] talk=2",
		"in answered  client=+79161234567 line=+74957654321 queue=sales rang=[101 102] by=[102] talk=3",
		"in answered  client=+79161234567 line= queue= rang=[101 103] by=[101 103] talk=6",
		"out answered  client=+79161234567 line=+74951234567 queue= rang=[] by=[101] talk=2",
		"out failed busy client=+79161234567 line=+74951234567 queue= rang=[] by=[]",
	}
	calls := track.Calls(append(r.Events, gap("07:27:00", "07:30:00")...), track.Options{})
	for i := range calls {
		if i >= len(want) || show(&calls[i]) != want[i] {
			t.Errorf("call %d: %s", i, show(&calls[i]))
		}
	}
	if len(calls) != len(want) {
		t.Errorf("%d calls, want %d", len(calls), len(want))
	}
	// Any order and repetition gives the same (F-7).
	back := slices.Clone(r.Events)
	slices.Reverse(back)
	back = append(append(gap("07:27:00", "07:30:00"), back...), r.Events...)
	for i, c := range track.Calls(back, track.Options{}) {
		if !track.Equal(&c, &calls[i]) {
			t.Errorf("call %d differs when its events come otherwise: %s", i, show(&c))
		}
	}
}

// begun is what we saw of the first call before the link was lost.
func begun(answered bool) []bridge.Event {
	a := bridge.Channel{ID: "bench-1795332463.0", Name: "PJSIP/trunk-00000000", Group: "bench-1795332463.0", Trunk: "trunk", Incoming: true,
		Number: "79161234567", Exten: "74951234567", Since: at("07:27:43.404")}
	b := bridge.Channel{ID: "bench-1795332463.1", Name: "PJSIP/101-00000001", Group: a.ID, Extension: "101", Since: at("07:27:43.411")}
	e := func(id string, kind bridge.EventKind, when string) bridge.Event {
		return bridge.Event{ID: id, PBX: "office", Kind: kind, At: at(when), Leg: &a, Peer: &b}
	}
	out := []bridge.Event{e("1", bridge.ChannelBegan, "07:27:43.404"), e("2", bridge.Dialling, "07:27:43.411"), e("3", bridge.DialRinging, "07:27:43.420")}
	if answered {
		out = append(out, e("4", bridge.DialAnswered, "07:27:44.623"))
	}
	return out
}

// F-2, D-29: a call whose end nobody saw gets its real end, and one whose
// answer nobody saw its answer.
func TestF02UnseenEndAndAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		seen []bridge.Event
		from string
		want string
	}{
		"end":            {begun(true), "07:27:45.100", "in answered  client=+79161234567 line=+74951234567 queue= rang=[101] by=[101] talk=1"},
		"answer and end": {begun(false), "07:27:43.700", "in answered  client=+79161234567 line=+74951234567 queue= rang=[101] by=[101] talk=2"},
	} {
		t.Run(name, func(t *testing.T) {
			in := cdr.Input{PBX: "office", From: at(c.from), To: at("07:27:46.900"), Records: bench(t, c.from), Channel: channel,
				Open: []cdr.Seen{{CallID: "X", Events: c.seen}}}
			r := cdr.Events(in)
			if !slices.Equal(r.Closed, []string{"X"}) || len(r.Added)+len(r.Unknown) != 0 {
				t.Errorf("added %v, closed %v, unknown %v", r.Added, r.Closed, r.Unknown)
			}
			calls := track.Calls(slices.Concat(c.seen, gap(c.from, "07:27:46.900"), r.Events), track.Options{})
			if len(calls) != 1 || show(&calls[0]) != c.want || calls[0].EndedAt != at("07:27:46") || calls[0].StartedAt != at("07:27:43.404") {
				t.Errorf("%d calls: %s, ended %v", len(calls), show(&calls[0]), calls[0].EndedAt)
			}
			// The log says nothing: it stays unknown.
			in.Records = nil
			if r := cdr.Events(in); !slices.Equal(r.Unknown, []string{"X"}) || len(r.Events) > 0 {
				t.Errorf("without the log: %+v", r)
			}
			// It goes on: the log cannot end it.
			a := *c.seen[0].Leg
			in.Records, in.Snapshot = bench(t, c.from), &bridge.Snapshot{Channels: []bridge.Channel{a}}
			for _, e := range cdr.Events(in).Events {
				if e.Kind == bridge.ChannelEnded && e.Leg.ID == a.ID {
					t.Errorf("a living channel was ended: %+v", e)
				}
			}
		})
	}
}

// A call that ended in the very second in which the link was lost, and was
// seen to end, is not made a second time.
func TestCallsSeenWholeStayAsTheyAre(t *testing.T) {
	r := cdr.Events(cdr.Input{PBX: "office", From: at("07:27:46.300"), To: at("07:27:46.900"), Records: bench(t, "07:27:46.300"),
		Channel: channel, Whole: map[string]bool{"bench-1795332463.0": true}})
	if len(r.Events) > 0 {
		t.Errorf("%d events", len(r.Events))
	}
}

// cdr_csv knows no linkedid; its records belong together by their channels.
func TestStandardCSVInMoscow(t *testing.T) {
	lines := `"","79161234567","74951234567","from-trunk","""Иван"" <79161234567>","PJSIP/trunk-00000000","Local/102@follow-00000000;1","Dial","Local/102@follow","2026-11-22 10:27:43","2026-11-22 10:27:44","2026-11-22 10:27:49",6,5,"ANSWERED","DOCUMENTATION","1795332463.0",""
"","79161234567","102","follow","""Иван"" <79161234567>","Local/102@follow-00000000;2","PJSIP/102-00000002","Dial","PJSIP/102,4","2026-11-22 10:27:43","2026-11-22 10:27:44","2026-11-22 10:27:49",6,5,"ANSWERED","DOCUMENTATION","1795332463.2",""
no record at all
`
	file := filepath.Join(t.TempDir(), "Master.csv")
	if err := os.WriteFile(file, []byte(strings.Repeat(`"old, 2020"`+"\n", 20000)+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	moscow := time.FixedZone("MSK", 3*3600)
	list, _, err := cdr.ReadCSV(file, nil, moscow, at("07:27:40"))
	if err != nil || len(list) != 2 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	r := cdr.Events(cdr.Input{PBX: "office", From: at("07:27:40"), To: at("07:28:00"), Records: list, Channel: channel})
	calls := track.Calls(append(r.Events, gap("07:27:40", "07:28:00")...), track.Options{})
	want := "in answered  client=+79161234567 line=+74951234567 queue= rang=[102] by=[102] talk=5"
	if len(calls) != 1 || show(&calls[0]) != want || calls[0].ClientName != "Иван" {
		t.Errorf("%d calls, %+v", len(calls), calls)
	}
}

// The log is read from its end, over chunks and into the rotated file, and no
// farther than needed.
func TestReadCSVBackwards(t *testing.T) {
	dir := t.TempDir()
	line := func(i int) string {
		s := at("05:00:00").Add(time.Duration(i) * time.Second).Format("2006-01-02 15:04:05")
		return fmt.Sprintf("%q,%q,%q,%q\n", s, s, "PJSIP/trunk-"+strings.Repeat("0", 60)+fmt.Sprint(i), "ANSWERED")
	}
	var old, now strings.Builder
	for i := range 3000 {
		old.WriteString(line(i))
	}
	for i := 3000; i < 6000; i++ {
		now.WriteString(line(i))
	}
	for name, b := range map[string]string{"Master.csv.1": old.String(), "Master.csv": now.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	columns := []string{"start", "end", "channel", "disposition"}
	for _, from := range []int{5990, 4000, 3000, 100} {
		list, bad, err := cdr.ReadCSV(filepath.Join(dir, "Master.csv"), columns, time.UTC, bridge.At(at("05:00:00").Add(time.Duration(from)*time.Second)))
		if err != nil || bad > 0 || len(list) != 6000-from+1 {
			t.Errorf("from %d: %d records, %d bad, %v", from, len(list), bad, err)
		}
		if !slices.IsSortedFunc(list, func(a, b cdr.Record) int { return a.Start.Compare(b.Start.Time) }) {
			t.Errorf("from %d: not in order", from)
		}
	}
}
