package web

import (
	"context"
	"net/http"
	"time"

	"callbridge/bridge"
)

// Returns is the list of clients who wait to be called back (F-6). An
// extension limits it to those whom that phone is to call (D-26); "" is all.
type Returns interface {
	Open(ctx context.Context, extension string) ([]bridge.MissedEntry, error)
	Closed(ctx context.Context, since time.Time) ([]bridge.MissedEntry, error)
	// Close closes an entry by hand; ErrNotFound if there is none for extension.
	Close(ctx context.Context, id, extension, login string) (bridge.MissedEntry, error)
}

// missedView is an entry as REST tells it.
type missedView struct {
	bridge.MissedEntry
	Name    string `json:"name,omitempty"` // of the client, if a CRM told it
	Overdue bool   `json:"overdue,omitempty"`
}

func (s *server) missedView(r *http.Request, e bridge.MissedEntry) missedView {
	v := missedView{MissedEntry: e, Overdue: e.ClosedAt.IsZero() && !e.DueAt.IsZero() && e.DueAt.Before(time.Now())}
	v.Name = s.clientName(r, e.Client)
	return v
}

// mine is the extension that limits what a visitor sees; nobody says whether
// he sees nothing at all.
func (s *server) mine(r *http.Request) (extension string, nobody bool) {
	v := who(r)
	if !v.isAgent() {
		return "", false
	}
	return v.user.Extension, v.user.Extension == ""
}

func (s *server) apiMissed(w http.ResponseWriter, r *http.Request) error {
	out := []missedView{}
	ext, nobody := s.mine(r)
	if s.d.Returns != nil && !nobody {
		list, err := s.d.Returns.Open(r.Context(), ext)
		if err != nil {
			return err
		}
		if ext == "" && r.URL.Query().Get("closed") != "" {
			closed, err := s.d.Returns.Closed(r.Context(), time.Now().AddDate(0, 0, -7))
			if err != nil {
				return err
			}
			list = append(list, closed...)
		}
		for _, e := range list {
			out = append(out, s.missedView(r, e))
		}
	}
	writeJSON(w, 200, map[string]any{"missed": out})
	return nil
}

func (s *server) apiMissedClose(w http.ResponseWriter, r *http.Request) error {
	ext, nobody := s.mine(r)
	if s.d.Returns == nil || nobody {
		return ErrNotFound
	}
	e, err := s.d.Returns.Close(r.Context(), r.PathValue("id"), ext, who(r).user.Login)
	if err != nil {
		return err
	}
	writeJSON(w, 200, s.missedView(r, e))
	return nil
}

// returnRow is an entry on the agent's page.
type returnRow struct {
	Name, Number, Line, Dial string
	Count                    int
	At, Due                  bridge.Time
	Overdue                  bool
}

// returns are the clients an agent is to call back, the most urgent first.
func (s *server) returns(r *http.Request) ([]returnRow, error) {
	v := who(r)
	if s.d.Returns == nil || v.user.Extension == "" {
		return nil, nil
	}
	list, err := s.d.Returns.Open(r.Context(), v.user.Extension)
	if err != nil {
		return nil, err
	}
	var out []returnRow
	for _, e := range list[:min(len(list), 20)] {
		m := s.missedView(r, e)
		row := returnRow{Name: m.Name, Number: s.d.Number(string(e.Client)), Dial: string(e.Client), Line: s.lineName(e.Line),
			Count: e.Count, At: e.LastAt, Due: e.DueAt, Overdue: m.Overdue}
		out = append(out, row)
	}
	return out, nil
}
