package bridge

import (
	"fmt"
	"time"
)

// Time is a moment as the call record writes it: RFC 3339 in UTC with exactly
// three digits of milliseconds. The zero Time means "unknown" and is left out
// of JSON (tag omitzero).
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At makes a Time of t, cut to milliseconds, in UTC.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Millisecond)}
}

// AtMilli makes a Time of milliseconds since 1970; 0 is the zero Time.
func AtMilli(ms int64) Time {
	if ms == 0 {
		return Time{}
	}
	return Time{time.UnixMilli(ms).UTC()}
}

// Milli returns milliseconds since 1970, 0 for the zero Time.
func (t Time) Milli() int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Sub returns t-u in whole milliseconds as a Duration.
func (t Time) Sub(u Time) time.Duration { return t.Time.Sub(u.Time) }

// MarshalJSON writes the stable form of the call record.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte(`null`), nil
	}
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON accepts any RFC 3339 time, and null.
func (t *Time) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" || s == `""` {
		*t = Time{}
		return nil
	}
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return fmt.Errorf("time %s: want a string as in 2026-11-22T05:01:23.433Z", s)
	}
	v, err := time.Parse(time.RFC3339Nano, s[1:len(s)-1])
	if err != nil {
		return fmt.Errorf("time %s: want RFC 3339 as in 2026-11-22T05:01:23.433Z", s)
	}
	*t = At(v)
	return nil
}
