package ari

import (
	"sync"
	"time"

	"callbridge/bridge"
)

// Problem says in one word what is wrong with the link; pages translate by it.
type Problem string

const (
	ProblemNone        Problem = ""
	ProblemConnecting  Problem = "connecting"  // not connected yet, or a moment ago
	ProblemUnreachable Problem = "unreachable" // nothing answers at the address
	ProblemStarting    Problem = "starting"    // Asterisk is booting, or ARI is not loaded
	ProblemNoARI       Problem = "no_ari"      // a web server without ARI, for minutes
	ProblemAuth        Problem = "auth"        // user or password refused
	ProblemReadOnly    Problem = "read_only"   // the user may not write
	ProblemReplaced    Problem = "replaced"    // another program uses our application name
	ProblemSlow        Problem = "slow"        // our own queue was full
	ProblemOther       Problem = "other"
)

// Status is the health of the link.
type Status struct {
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`      // since when Connected is what it is
	LastEvent time.Time `json:"last_event,omitzero"` // arrival of the last frame
	LastHeard time.Time `json:"last_heard,omitzero"` // arrival of the last frame or pong
	Code      Problem   `json:"code,omitempty"`
	Problem   string    `json:"problem,omitempty"` // English sentence; "" if all is well
	Version   string    `json:"version,omitempty"` // of Asterisk
	// StartedAt is the start of Asterisk itself.
	StartedAt  bridge.Time   `json:"started_at,omitzero"`
	Reconnects int64         `json:"reconnects"`
	Malformed  int64         `json:"malformed"`
	Overflows  int64         `json:"overflows"`
	QueueBytes int64         `json:"queue_bytes"` // frames that wait to be decoded
	QueueAge   time.Duration `json:"queue_age"`   // how long the oldest of them waits
	// Linked says that every event names its call (channelvars holds
	// CHANNEL(linkedid)); false: not so, or not known yet.
	Linked bool `json:"linked"`
}

// status keeps Status under a lock.
type status struct {
	mu sync.Mutex
	s  Status
	q  *queue
}

func (s *status) set(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.s.Connected
	change(&s.s)
	if s.s.Connected != was || s.s.Since.IsZero() {
		s.s.Since = time.Now()
	}
}

func (s *status) use(q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.q = q
}

// Status returns the health of the link now.
func (p *PBX) Status() Status {
	p.status.mu.Lock()
	s, q := p.status.s, p.status.q
	p.status.mu.Unlock()
	s.LastEvent, s.LastHeard = p.clock.last()
	s.Linked = p.filter.linked()
	if q != nil {
		s.QueueBytes, s.QueueAge = q.load(time.Now())
	}
	return s
}
