package deliver

import (
	"fmt"
	"math/rand/v2"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
)

// verdict is what follows from one attempt: for the row, and for more than it.
type verdict struct {
	row       bridge.Delivery
	pause     time.Duration // the whole integration waits this long
	hold      bool          // the integration's credentials are refused
	holdKind  bool          // a right for this kind of action is missing
	forgotten bool          // the contact we pointed to is gone: ask the CRM again
}

// judge turns the error of an attempt into the row's next state. It is the
// only place that does (style.md section 3).
func judge(d bridge.Delivery, err error, now time.Time) verdict {
	v := verdict{row: d}
	r := &v.row
	r.LeaseUntil = bridge.Time{}
	if err == nil {
		r.ErrorKind, r.Error, r.Look = "", "", false
		r.NextAt = bridge.Time{}
		if r.State == bridge.Trying {
			r.State = bridge.Done
		}
		r.DoneAt = bridge.At(now)
		r.Attempts++
		return v
	}
	kind := fault.KindOf(err)
	r.ErrorKind, r.Error = kind.String(), clip(err.Error(), 500)
	switch kind {
	case fault.RateLimited:
		// Being told to slow down is no attempt.
		wait := fault.After(err)
		if wait <= 0 {
			wait = 10 * time.Second
		}
		v.pause = min(wait, 15*time.Minute)
		r.State = bridge.Waiting
		r.NextAt = bridge.At(now.Add(v.pause))
	case fault.Auth:
		v.hold = true
		r.State = bridge.Held
		r.Note = heldNote
	case fault.Forbidden:
		v.holdKind = true
		r.State = bridge.Held
		r.Attempts++
		r.Note = "a right is missing in the CRM: " + clip(err.Error(), 200)
	case fault.Invalid:
		r.Attempts++
		r.State = bridge.Refused
		r.DoneAt = bridge.At(now)
	case fault.Gone:
		r.Attempts++
		v.forgotten = true
		if r.Attempts >= 4 {
			r.State = bridge.Refused
			r.DoneAt = bridge.At(now)
			break
		}
		r.State = bridge.Waiting
		r.NextAt = bridge.At(now.Add(jitter(bridge.Backoff(r.Attempts))))
	default: // Temporary, Uncertain
		r.Attempts++
		r.Look = r.Look || kind == fault.Uncertain
		if now.Sub(d.CreatedAt.Time) > giveUp {
			r.State = bridge.Refused
			r.DoneAt = bridge.At(now)
			r.Note = fmt.Sprintf("gave up after %d attempts in %d days", r.Attempts, int(giveUp.Hours()/24))
			break
		}
		r.State = bridge.Waiting
		r.NextAt = bridge.At(now.Add(jitter(bridge.Backoff(r.Attempts))))
	}
	return v
}

// jitter spreads retries by ±20 %, so that a thousand rows do not come back
// in the same second.
func jitter(d time.Duration) time.Duration {
	return d*8/10 + time.Duration(rand.Int64N(int64(d)*4/10+1))
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
