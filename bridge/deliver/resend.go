package deliver

import (
	"math"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
)

// ResendFrom is the start of what a reactivation sends: the first
// moment of the calendar day two days before now's, in the integration's zone.
// Days on which the clocks are changed are as long as they are.
func ResendFrom(now time.Time, zone *time.Location) time.Time {
	y, m, d := now.In(zone).Date()
	return DayStart(y, m, d-2, zone)
}

// DayStart is the first moment of a calendar day, also where the clocks are
// changed at midnight, so that 00:00 does not exist or comes twice.
func DayStart(y int, m time.Month, d int, zone *time.Location) time.Time {
	noon := time.Date(y, m, d, 12, 0, 0, 0, zone)
	y, m, d = noon.Date()
	same := func(t time.Time) bool { a, b, c := t.Date(); return a == y && b == m && c == d }
	const step = 15 * time.Minute // zones are changed by quarters of an hour at least
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	for !same(t) {
		t = t.Add(step)
	}
	for same(t.Add(-step)) {
		t = t.Add(-step)
	}
	return t
}

// requests is how many requests an action of a kind takes in a CRM, the
// look-up of the client included. What is known from before needs fewer.
var requests = map[bridge.ActionKind]float64{bridge.ActPopup: 1, bridge.ActContact: 2, bridge.ActFields: 1, bridge.ActCall: 1,
	bridge.ActCommunication: 1, bridge.ActTask: 1, bridge.ActProcess: 2}

// Cost is what sending deliveries takes.
type Cost struct {
	Deliveries int64         `json:"deliveries"`
	Requests   int64         `json:"requests"`
	Took       time.Duration `json:"-"`
	Minutes    float64       `json:"minutes"` // at the rate a resend may use
}

// CostOf estimates from above what so many deliveries of each kind take.
func CostOf(kinds map[bridge.ActionKind]int64, d crm.Driver) Cost {
	var c Cost
	total := 0.0
	for k, n := range kinds {
		per := requests[k]
		if k == bridge.ActCall && d.Batch > 1 {
			per = 1 / float64(d.Batch)
		}
		c.Deliveries += n
		total += per * float64(n)
	}
	c.Requests = int64(math.Ceil(total))
	if d.PerSecond > 0 {
		c.Took = time.Duration(total / d.PerSecond * float64(time.Second)).Round(time.Second)
		c.Minutes = math.Round(c.Took.Minutes()*10) / 10
	}
	return c
}
