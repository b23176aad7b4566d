package cdr

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

var fuzzColumns = strings.Split("start,src,dst,channel,dstchannel,disposition,duration,billsec,uniqueid,linkedid,answer,end,lastapp,lastdata,sequence", ",")

// FuzzLog: lines of a call log, whatever stands in them, give events with ids,
// and the same calls in whatever order these come.
func FuzzLog(f *testing.F) {
	for _, s := range []string{
		`"2026-11-22 07:27:56","79161234567","78005553535","PJSIP/trunk-00000007","PJSIP/101-00000008","NO ANSWER","1","0","b.7","b.7","","2026-11-22 07:27:57","Dial","PJSIP/101&PJSIP/102,4,tT","7"` + "\n" +
			`"2026-11-22 07:27:56","79161234567","78005553535","PJSIP/trunk-00000007","PJSIP/102-00000009","ANSWERED","3","2","b.7","b.7","2026-11-22 07:27:57","2026-11-22 07:27:59","Dial","PJSIP/101&PJSIP/102,4,tT","10"`,
		`"2026-11-22 07:28:19","74951234567","s","PJSIP/101-00000012","","BUSY","0","0","b.18","b.18","","2026-11-22 07:28:19","Hangup","17","23"`,
		`1795332463.25,1,2,SIP/a-1,Local/101@x-1;2,ANSWERED,1e9,-5,,,0000-00-00 00:00:00,9999-12-31 23:59:59,Queue,"a,b",x`,
		`"unfinished`, `,,,`,
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	from := bridge.At(time.Date(2026, 11, 22, 7, 27, 50, 0, time.UTC))
	f.Fuzz(func(t *testing.T, data []byte, standard bool) {
		columns := fuzzColumns
		if standard {
			columns = CSVColumns
		}
		var records []Record
		for _, line := range bytes.Split(data, []byte("\n")) {
			r, err := parseLine(line, columns, time.UTC)
			if err == nil {
				records = append(records, r)
			}
		}
		in := Input{PBX: "office", From: from, To: bridge.At(from.Add(time.Hour)), Records: records, Channel: func(name string) bridge.Channel {
			switch {
			case strings.HasPrefix(name, "Local/"):
				return bridge.Channel{Helper: true, Pair: pair(name)}
			case strings.Contains(name, "trunk"):
				return bridge.Channel{Trunk: "trunk"}
			}
			return bridge.Channel{Extension: "101"}
		}}
		events := Events(in).Events
		for _, e := range events {
			if e.ID == "" || e.PBX == "" || e.Leg == nil || e.Leg.ID == "" {
				t.Fatalf("an event that cannot be stored: %+v", e)
			}
		}
		calls := track.Calls(events, track.Options{})
		back := slices.Clone(events)
		slices.Reverse(back)
		again := track.Calls(append(back, events...), track.Options{})
		if len(calls) != len(again) {
			t.Fatalf("%d calls, backwards %d", len(calls), len(again))
		}
		for i := range calls {
			if !track.Equal(&calls[i], &again[i]) {
				t.Fatalf("another call backwards:\n%+v\n%+v", calls[i], again[i])
			}
		}
	})
}
