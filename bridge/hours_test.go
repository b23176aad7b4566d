package bridge_test

import (
	"testing"
	"time"

	"callbridge/bridge"
)

func TestWorkingHours(t *testing.T) {
	moscow, err := time.LoadLocation("Europe/Moscow")
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	week := &bridge.WorkingHours{From: "09:00", To: "18:00", Holidays: []string{"2026-11-04"}}
	all := &bridge.WorkingHours{Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "Sun"}, From: "00:00", To: "24:00"}
	for _, c := range []struct {
		w        *bridge.WorkingHours
		zone     *time.Location
		at, want string
		d        time.Duration
	}{
		{nil, moscow, "2026-11-20 23:00", "2026-11-21 01:00", 2 * time.Hour},
		{week, moscow, "2026-11-20 10:00", "2026-11-20 12:00", 2 * time.Hour},
		{week, moscow, "2026-11-20 17:30", "2026-11-23 10:30", 2 * time.Hour}, // Friday → Monday
		{week, moscow, "2026-11-21 03:00", "2026-11-23 11:00", 2 * time.Hour}, // in the night of a Saturday
		{week, moscow, "2026-11-20 06:00", "2026-11-20 09:30", 30 * time.Minute},
		{week, moscow, "2026-11-03 17:00", "2026-11-05 10:00", 2 * time.Hour}, // over a holiday
		{week, moscow, "2026-11-20 16:00", "2026-11-20 18:00", 2 * time.Hour}, // until the very end
		{week, moscow, "2026-11-16 09:00", "2026-11-18 13:30", 22*time.Hour + 30*time.Minute},
		{all, berlin, "2026-10-24 12:00", "2026-10-25 11:00", 24 * time.Hour}, // the clock goes back
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", c.at, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.w.Add(at, c.d, c.zone).In(c.zone).Format("2006-01-02 15:04"); got != c.want {
			t.Errorf("%s + %v = %s, want %s", c.at, c.d, got, c.want)
		}
	}
	if w := (&bridge.WorkingHours{From: "09:00", To: "18:00", Days: []string{"mon"}, Holidays: []string{"2027-01-01"}}).Check(); len(w) > 0 {
		t.Errorf("%v", w)
	}
	if w := (&bridge.WorkingHours{From: "9", To: "18:00", Days: []string{"day"}, Holidays: []string{"1.1."}}).Check(); len(w) != 3 {
		t.Errorf("%v", w)
	}
	if w := (&bridge.WorkingHours{From: "18:00", To: "09:00"}).Check(); len(w) != 1 {
		t.Errorf("%v", w)
	}
}
