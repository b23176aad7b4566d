package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"callbridge/bridge"
)

// setupView is the page that says what is to be clicked in the CRM, what to try
// afterwards, and why calls may not appear (M-2.1, M-6.3, M-6.4).
type setupView struct {
	ID, Kind string
	Steps    []string // keys of texts
	Widget   string   // address of our page inside the CRM
	Public   string
	Trials   []trial
	Issues   []string
	Joined   int
	May      bool
	Links    []string // extensions for the choice
	Made     *CallLink
	Error    string
}

// trial is one thing to try, and when it last worked.
type trial struct {
	Rows string // ids of the promises
	Text string // key
	Last bridge.Time
	Link string
}

// setupSteps are the steps in each CRM.
var setupSteps = map[string][]string{
	"megaplan": {"setup.mp.user", "setup.mp.mode", "setup.mp.users", "setup.mp.sync", "setup.mp.app", "setup.mp.widget"},
}

// trials are what a test call shows. The kinds are the deliveries that prove it.
var trials = []struct {
	rows, text string
	kinds      []bridge.ActionKind
}{
	{"M-0.1", "setup.try.card", []bridge.ActionKind{bridge.ActPopup}},
	{"M-0.2", "setup.try.record", []bridge.ActionKind{bridge.ActRecording, bridge.ActCall}},
	{"M-0.3", "setup.try.history", []bridge.ActionKind{bridge.ActCall}},
	{"M-0.4, M-0.10", "setup.try.manager", nil},
	{"M-0.5", "setup.try.click", nil},
	{"M-0.6", "setup.try.contact", []bridge.ActionKind{bridge.ActContact}},
	{"M-0.7", "setup.try.task", []bridge.ActionKind{bridge.ActTask}},
	{"M-0.8", "setup.try.communication", []bridge.ActionKind{bridge.ActCommunication}},
	{"M-0.9", "setup.try.dnd", nil},
}

// trialRows is how many of the newest deliveries are looked through.
const trialRows = 500

func (s *server) setupPage(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	all, err := s.integrations(r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(x Integration) bool { return x.ID == id })
	if i < 0 {
		return ErrNotFound
	}
	v := setupView{ID: id, Kind: all[i].Kind, Steps: setupSteps[all[i].Kind], Public: strings.TrimRight(s.d.PublicURL, "/"), May: who(r).user.Role == bridge.Admin}
	if s.d.Embedding != nil && v.Public != "" && all[i].Kind == "megaplan" {
		v.Widget = v.Public + "/hooks/" + url.PathEscape(id) + "/widget"
	}
	if r.Method == http.MethodPost {
		days, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("days")))
		if err != nil {
			days = -1
		}
		made, err := s.makeLink(r, id, r.PostFormValue("extension"), r.PostFormValue("number"), days)
		if e, ok := errors.AsType[*apiError](err); ok {
			v.Error = strings.TrimSpace(s.language(r).t("error."+e.Code) + " " + e.About)
		} else if err != nil {
			return err
		} else {
			v.Made = &made
		}
	}
	rows, err := s.d.Ledger.Deliveries(r.Context(), DeliveryQuery{Integration: id, State: bridge.Done, Limit: trialRows})
	if err != nil {
		return err
	}
	for _, t := range trials {
		row := trial{Rows: t.rows, Text: t.text}
		for _, d := range rows {
			if slices.Contains(t.kinds, d.Action.Kind) && d.DoneAt.After(row.Last.Time) {
				row.Last, row.Link = d.DoneAt, "/calls/"+url.PathEscape(d.CallID)
			}
		}
		v.Trials = append(v.Trials, row)
	}
	if st, err := s.staff(r.Context(), id); err == nil {
		v.Issues, v.Joined = st.Issues, st.Joined
		for _, p := range st.People {
			if p.Active && p.Extension != "" {
				v.Links = append(v.Links, p.Extension)
			}
		}
	}
	p := s.page(r, s.language(r).t("setup.title")+" · "+id, v)
	p.Section = "overview"
	return s.render(w, "setup.html", p)
}
