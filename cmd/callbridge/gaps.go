package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"callbridge/bridge"
	"callbridge/store"
)

// gapDays is how far back gaps are listed.
const gapDays = 31

// gapLine is a gap in JSON.
type gapLine struct {
	PBX    string      `json:"pbx"`
	From   bridge.Time `json:"from"`
	To     bridge.Time `json:"to,omitzero"` // absent: it goes on
	Reason string      `json:"reason"`
	Calls  int         `json:"calls"` // that may lack facts because of it
}

func gapLines(gaps []store.Gap) []gapLine {
	out := make([]gapLine, len(gaps))
	for i, g := range gaps {
		out[i] = gapLine(g)
	}
	return out
}

// printGaps lists the times in which PBXs could not be seen.
func (e *opened) printGaps(w io.Writer, gaps []store.Gap) error {
	if len(gaps) == 0 {
		_, err := fmt.Fprintln(w, "No gaps: every PBX was seen all the time.")
		return err
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PBX\tFROM\tTO\tREASON\tCALLS")
	for _, g := range gaps {
		to := e.local(g.To)
		if g.To.IsZero() {
			to = "it goes on"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\n", g.PBX, e.local(g.From), to, dash(g.Reason), g.Calls)
	}
	return t.Flush()
}
