// Package cdr repairs gaps from Asterisk's call log: what happened while
// nobody listened to the PBX stands nowhere else (reference/ari.md 11). It
// reads the records (cdr_csv, cdr_custom; tables come in as columns and
// values) and turns those of a gap into events, from which the tracker makes
// the calls: the log is evidence, the tracker stays the one truth.
//
// Observed with Asterisk 22: times are cut to whole seconds; a channel that
// the PBX itself had answered (queue, menu, transfer) gives every later record
// its own answer time; after a blind transfer dst is the target also in the
// records before it; phones that lost to another have NO ANSWER and end when
// that one answered.
//
// Inferred, not observed (each in events.go): a phone with ANSWERED or NO
// ANSWER rang from the beginning of its record; who hung up, and whether a
// caller gave up or nobody came in time, is not in the log.
package cdr

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
)

// Record is one line of the log: what channel did with dstchannel.
type Record struct {
	Start, Answer, End    bridge.Time
	Source, Dialled, Name string // src, dst, name in clid
	Channel, Other        string // channel, dstchannel
	App, AppData          string
	Disposition           string
	ID, Group             string // uniqueid, linkedid; "" if not logged
	Sequence              int
}

// Parse reads a record from its columns, named as in CDR(name); a column
// calldate is the start. Times without a zone are in zone.
func Parse(row map[string]string, zone *time.Location) (Record, error) {
	r := Record{Source: row["src"], Dialled: row["dst"], Channel: row["channel"], Other: row["dstchannel"], App: row["lastapp"],
		AppData: row["lastdata"], Disposition: strings.ToUpper(strings.TrimSpace(row["disposition"])), ID: row["uniqueid"], Group: row["linkedid"]}
	if r.Channel == "" {
		return r, fmt.Errorf("call record without a channel")
	}
	r.Name, _, _ = strings.Cut(row["clid"], "<")
	r.Name = strings.Trim(strings.TrimSpace(r.Name), `"`)
	r.Sequence, _ = strconv.Atoi(row["sequence"]) // only orders records of one second
	var err error
	start := row["start"]
	if start == "" {
		start = row["calldate"]
	}
	if r.Start, err = parseTime(start, zone); err != nil || r.Start.IsZero() {
		return r, fmt.Errorf("call record: start %q: want 2026-11-22 07:27:43", start)
	}
	if r.Answer, err = parseTime(row["answer"], zone); err != nil {
		return r, fmt.Errorf("call record: answer: %w", err)
	}
	if r.End, err = parseTime(row["end"], zone); err != nil {
		return r, fmt.Errorf("call record: end: %w", err)
	}
	if r.End.IsZero() {
		n, err := seconds(row["duration"])
		if err != nil {
			return r, fmt.Errorf("call record: neither end nor duration")
		}
		r.End = bridge.At(r.Start.Add(n))
	}
	if n, err := seconds(row["billsec"]); err == nil && r.Answer.IsZero() && r.Disposition == "ANSWERED" {
		r.Answer = bridge.At(r.End.Add(-n))
	}
	return r, nil
}

func seconds(s string) (time.Duration, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return time.Duration(f * float64(time.Second)), err
}

var layouts = []string{"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", time.RFC3339Nano}

// parseTime reads local time, or seconds since 1970 (CDR(start,u)); an empty
// or impossible one ("0000-00-00 00:00:00") is unknown.
func parseTime(s string, zone *time.Location) (bridge.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasPrefix(s, "0000-") {
		return bridge.Time{}, nil
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, zone); err == nil {
			return bridge.At(t), nil
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > 1e8 {
		return bridge.AtMilli(int64(f * 1000)), nil
	}
	return bridge.Time{}, fmt.Errorf("%q is no time", s)
}

// CallRef is a call of the log by the PBX's id.
type CallRef struct {
	ID    string
	Since bridge.Time
}

// Calls lists the calls in records that have an id.
func Calls(records []Record) []CallRef {
	var out []CallRef
	at := map[string]int{}
	for _, r := range records {
		id := r.Group
		if id == "" {
			id = r.ID
		}
		if id == "" {
			continue
		}
		i, ok := at[id]
		if !ok {
			at[id] = len(out)
			out = append(out, CallRef{id, r.Start})
		} else if r.Start.Before(out[i].Since.Time) {
			out[i].Since = r.Start
		}
	}
	return out
}
