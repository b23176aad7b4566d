package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// Alarm is something that somebody must do something about, as it is now. The
// names are those of the alarms in deploy/prometheus, which tell the same to
// who is not looking at the console.
type Alarm struct {
	Name  string      `json:"name"`
	About string      `json:"about,omitempty"` // PBX or integration
	Since bridge.Time `json:"since,omitzero"`
	Text  string      `json:"text"`
	Link  string      `json:"link,omitempty"` // page on which it is mended
	bad   bool
}

// Bad says that calls or deliveries are affected now; the rest is a warning.
func (a Alarm) Bad() bool { return a.bad }

// lateAfter is how long a delivery may wait before that is an alarm.
const lateAfter = 15 * time.Minute

// alarms finds out what is wrong, the worst first.
func (s *server) alarms(ctx context.Context, l lang) ([]Alarm, error) {
	out := []Alarm{}
	add := func(bad bool, name, about string, since bridge.Time, link, detail string, kv ...string) {
		text := strings.NewReplacer(kv...).Replace(l.t("alarm." + name))
		if detail != "" {
			text += " " + detail
		}
		out = append(out, Alarm{Name: name, About: about, Since: since, Text: text, Link: link, bad: bad})
	}
	if s.d.PBXs != nil {
		for _, p := range s.d.PBXs() {
			if !p.Connected {
				add(true, "PBXDisconnected", p.ID, p.Since, "/gaps", p.Error)
			}
		}
	}
	list, err := s.integrations(ctx)
	if err != nil {
		return nil, err
	}
	for _, in := range list {
		page := "/integrations/" + in.ID
		switch {
		case in.State == "held":
			add(true, "CredentialsRefused", in.ID, in.Since, page, in.Reason, "{n}", fmt.Sprint(in.Held))
		case !in.Active && in.Held > 0:
			add(false, "Inactive", in.ID, in.Since, page, "", "{n}", fmt.Sprint(in.Held))
		case in.LastError != "":
			add(true, "CRMFailing", in.ID, bridge.Time{}, page, in.LastError)
		}
		if in.Failed > 0 {
			add(false, "DeliveriesParked", in.ID, bridge.Time{}, "/deliveries?state=failed&integration="+in.ID, "", "{n}", fmt.Sprint(in.Failed))
		}
		if s.d.Employees == nil {
			continue
		}
		st, err := s.d.Employees.Staff(ctx, in.ID)
		if err != nil {
			continue // an integration that cannot be opened has its alarm above
		}
		if a := st.Alarm; a != nil {
			add(true, "EmployeeListRefused", in.ID, a.At, page+"/employees", "", "{was}", fmt.Sprint(a.Was), "{now}", fmt.Sprint(a.Now))
		}
		if n := len(st.Issues); n > 0 {
			add(false, "EmployeesUnmapped", in.ID, bridge.Time{}, page+"/employees", "", "{n}", fmt.Sprint(n))
		}
	}
	if err := s.ledgerAlarms(ctx, add); err != nil {
		return nil, err
	}
	if s.d.Missing != nil {
		for _, m := range s.d.Missing(ctx) {
			if !strings.HasPrefix(m, "PBX ") { // those stand above
				add(true, "StoreTrouble", "", bridge.Time{}, "", m)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Alarm) int {
		return cmp.Or(-cmp.Compare(btoi(a.bad), btoi(b.bad)), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *server) ledgerAlarms(ctx context.Context, add func(bool, string, string, bridge.Time, string, string, ...string)) error {
	today := time.Now().In(s.d.Zone)
	rows, err := s.d.Ledger.Balance(ctx, today.AddDate(0, 0, -6).Format(time.DateOnly), today.Format(time.DateOnly))
	if err != nil {
		return err
	}
	var off int64
	for _, x := range rows {
		n := x.Imbalance()
		off += max(n, -n)
	}
	if off > 0 {
		add(true, "LedgerImbalance", "", bridge.Time{}, "/ledger", "", "{n}", fmt.Sprint(off))
	}
	waiting, err := s.d.Ledger.Deliveries(ctx, DeliveryQuery{State: bridge.Waiting, Limit: 500})
	if err != nil {
		return err
	}
	oldest := map[string]bridge.Delivery{}
	for _, d := range waiting {
		if o, ok := oldest[d.Integration]; !ok || d.CreatedAt.Before(o.CreatedAt.Time) {
			oldest[d.Integration] = d
		}
	}
	for _, d := range oldest {
		if age := time.Since(d.CreatedAt.Time); age > lateAfter && !d.CreatedAt.IsZero() {
			add(false, "DeliveriesLate", d.Integration, d.CreatedAt, "/deliveries?state=waiting&integration="+d.Integration, d.Error, "{n}", fmt.Sprint(int(age.Minutes())))
		}
	}
	return nil
}

type alarmsView struct{ Alarms []Alarm }

func (s *server) alarmsPage(w http.ResponseWriter, r *http.Request) error {
	l := s.language(r)
	list, err := s.alarms(r.Context(), l)
	if err != nil {
		return err
	}
	p := s.page(r, l.t("console.alarms"), alarmsView{list})
	p.Section = "alarms"
	if r.URL.Query().Get("part") != "" {
		return s.render(w, "alarmlist", p)
	}
	return s.render(w, "alarms.html", p)
}

func (s *server) apiAlarms(w http.ResponseWriter, r *http.Request) error {
	list, err := s.alarms(r.Context(), s.language(r))
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"alarms": list})
	return nil
}

// Gap is a time in which a PBX could not be seen.
type Gap struct {
	PBX    string      `json:"pbx"`
	From   bridge.Time `json:"from"`
	To     bridge.Time `json:"to,omitzero"` // absent: it goes on
	Reason string      `json:"reason,omitempty"`
	Calls  int         `json:"calls"` // in whose records it stands
}

// Lasted is how long it was, or is so far.
func (g Gap) Lasted() time.Duration {
	if g.To.IsZero() {
		return time.Since(g.From.Time)
	}
	return g.To.Sub(g.From)
}

// gapDays is how far back the page of gaps looks.
const gapDays = 30

func (s *server) gaps(r *http.Request) ([]Gap, error) {
	if s.d.Gaps == nil {
		return []Gap{}, nil
	}
	list, err := s.d.Gaps(r.Context(), time.Now().AddDate(0, 0, -gapDays))
	return append([]Gap{}, list...), err
}

func (s *server) gapsPage(w http.ResponseWriter, r *http.Request) error {
	list, err := s.gaps(r)
	if err != nil {
		return err
	}
	p := s.page(r, s.language(r).t("console.gaplist"), list)
	p.Section = "alarms"
	return s.render(w, "gaps.html", p)
}

func (s *server) apiGaps(w http.ResponseWriter, r *http.Request) error {
	list, err := s.gaps(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"gaps": list})
	return nil
}

type liveView struct {
	Live   []bridge.Call
	Agents int
}

// livePage shows the calls of this moment, who rings and who talks.
func (s *server) livePage(w http.ResponseWriter, r *http.Request) error {
	live := unnamed(r.Context(), s.d.Live())
	slices.SortFunc(live, func(a, b bridge.Call) int { return b.StartedAt.Compare(a.StartedAt.Time) })
	p := s.page(r, s.language(r).t("console.live.page"), liveView{live, s.d.Hub.Connected()})
	p.Section = "live"
	if r.URL.Query().Get("part") != "" {
		return s.render(w, "livelist", p)
	}
	return s.render(w, "live.html", p)
}
