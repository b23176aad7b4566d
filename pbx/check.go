package pbx

import (
	"context"
	"time"
)

// Checker is a PBX that can be examined before calls depend on it. Check
// changes nothing and disturbs nobody who is connected. The error says that
// the PBX could not be asked at all; what is missing stands in the lines.
type Checker interface {
	Check(ctx context.Context, w Wanted) (Report, error)
}

// Wanted is what the settings expect of the PBX.
type Wanted struct {
	Routing bool // the dialplan should ask who takes a call
	Clicks  bool // calls are to be placed
}

// Report is what an examination found.
type Report struct {
	Version string
	Lines   []CheckLine
	// Phones are the PBX's phones by extension: online, offline or unknown.
	Phones map[string]string
	// Skew is how far the PBX's clock is ahead of ours; it is exact to a second.
	Skew time.Duration
}

// CheckLine is one thing that was examined. If it is not OK, the texts say
// what to do; Warn means that calls work all the same.
type CheckLine struct {
	What     string
	OK, Warn bool
	En, Ru   string
}
