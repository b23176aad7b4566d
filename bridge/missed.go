package bridge

// MissedEntry is one client who waits to be called back on one line: however
// often he called, it is one entry with a counter (F-6). It stays open over
// night and week-end (D-31) until somebody talks to him.
type MissedEntry struct {
	ID     string `json:"id"` // of its first call
	Client Number `json:"client"`
	Line   string `json:"line"`
	Count  int    `json:"count"`
	// Calls are the ids of the missed calls, the oldest first.
	Calls   []string `json:"calls"`
	FirstAt Time     `json:"first_at"`
	LastAt  Time     `json:"last_at"`
	DueAt   Time     `json:"due_at,omitzero"` // by the working hours of the line's integration
	// Rang are the phones that rang for him; empty: the call reached nobody.
	Rang     []string     `json:"rang,omitempty"`
	ClosedAt Time         `json:"closed_at,omitzero"`
	Closed   MissedReason `json:"closed,omitempty"`
	ClosedBy string       `json:"closed_by,omitempty"` // extension or login
	// ClosingCall is the call in which somebody talked to him.
	ClosingCall string `json:"closing_call,omitempty"`
}

// MissedReason says why an entry is closed.
type MissedReason string

const (
	CalledBack    MissedReason = "called_back"     // one of us called and got through
	CameThrough   MissedReason = "came_through"    // the client called again and was answered
	ClosedByHand  MissedReason = "by_hand"         // somebody said so
	WasTalkedWith MissedReason = "was_talked_with" // the call turned out to be answered after all
)
