package bridge

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// WorkingHours is the calendar by which deadlines run.
type WorkingHours struct {
	Days     []string `yaml:"days,omitempty" json:"days,omitempty"` // mon … sun; empty: mon to fri
	From     string   `yaml:"from" json:"from"`                     // 09:00
	To       string   `yaml:"to" json:"to"`                         // 18:00
	Holidays []string `yaml:"holidays,omitempty" json:"holidays,omitempty"`
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// clockOf reads "09:00" as the time since midnight; 24:00 is the day's end.
func clockOf(s string) (time.Duration, error) {
	if s == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day such as 09:00", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Check returns what is wrong with the calendar, by field; nothing if it works.
func (w *WorkingHours) Check() map[string]string {
	out := map[string]string{}
	from, err := clockOf(w.From)
	if err != nil {
		out["from"] = err.Error()
	}
	to, err2 := clockOf(w.To)
	if err2 != nil {
		out["to"] = err2.Error()
	}
	if err == nil && err2 == nil && to <= from {
		out["to"] = "the day must end after it begins"
	}
	for _, d := range w.Days {
		if !slices.Contains(weekdays, strings.ToLower(d)) {
			out["days"] = fmt.Sprintf("%q is no day; use mon, tue, wed, thu, fri, sat, sun", d)
		}
	}
	for _, h := range w.Holidays {
		if _, err := time.Parse(time.DateOnly, h); err != nil {
			out["holidays"] = fmt.Sprintf("%q is no date such as 2027-01-01", h)
		}
	}
	return out
}

// Add returns the moment d of working time after t. A nil calendar works day
// and night, and so does one that has no working day within a year.
func (w *WorkingHours) Add(t time.Time, d time.Duration, zone *time.Location) time.Time {
	if w == nil || d < 0 {
		return t.Add(d)
	}
	from, err := clockOf(w.From)
	to, err2 := clockOf(w.To)
	if err != nil || err2 != nil || to <= from {
		return t.Add(d)
	}
	local := t.In(zone)
	left := d
	for day := range 366 {
		y, m, n := local.Date()
		midnight := time.Date(y, m, n+day, 0, 0, 0, 0, zone)
		if !w.works(midnight) {
			continue
		}
		// The clock's time of that day, also when the clock is changed.
		begin := time.Date(y, m, n+day, 0, int(from/time.Minute), 0, 0, zone)
		end := time.Date(y, m, n+day, 0, int(to/time.Minute), 0, 0, zone)
		if begin.Before(local) {
			begin = local
		}
		if span := end.Sub(begin); span > 0 {
			if left <= span {
				return begin.Add(left).In(t.Location())
			}
			left -= span
		}
	}
	return t.Add(d)
}

func (w *WorkingHours) works(day time.Time) bool {
	if slices.Contains(w.Holidays, day.Format(time.DateOnly)) {
		return false
	}
	if len(w.Days) == 0 {
		return day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
	}
	return slices.ContainsFunc(w.Days, func(s string) bool { return strings.EqualFold(s, weekdays[day.Weekday()]) })
}
