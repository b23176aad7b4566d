package web

import (
	"context"
	"net/http"
	"slices"

	"callbridge/bridge"
)

// nameless says that the user may see the numbers of clients and not their
// names (F-22).
func (v *visitor) nameless() bool {
	return v != nil && v.user.HideClients && v.user.Role != bridge.Admin
}

// clientName is the name of a client for a reader who may see it.
func (s *server) clientName(r *http.Request, n bridge.Number) string {
	if who(r).nameless() {
		return ""
	}
	return s.d.Client(r.Context(), n)
}

// unnamed takes the names of clients out of calls, if the reader may not see
// them.
func unnamed(ctx context.Context, calls []bridge.Call) []bridge.Call {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	if !v.nameless() {
		return calls
	}
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].ClientName = ""
	}
	return calls
}

// unnamedRows takes out what may tell a name: what was sent to the CRM and
// answered, and what was written on the card.
func unnamedRows(v *visitor, rows []bridge.Delivery) []bridge.Delivery {
	if !v.nameless() {
		return rows
	}
	rows = slices.Clone(rows)
	for i := range rows {
		if rows[i].Action.Trigger == bridge.OnCard {
			rows[i].Action.Title, rows[i].Action.Text = "", ""
		}
	}
	return rows
}

// attempts are the tries of a delivery, without what may tell a name.
func (s *server) attempts(r *http.Request, id int64) ([]Attempt, error) {
	list, err := s.d.Ledger.Attempts(r.Context(), id)
	if !who(r).nameless() {
		return list, err
	}
	list = slices.Clone(list)
	for i := range list {
		list[i].Request, list[i].Response = "", ""
	}
	return list, err
}
