package deliver

import (
	"context"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/rules"
	"callbridge/crm"
)

func (j *job) key() crm.Key {
	return crm.Key{ID: j.row.Action.Key, Look: j.row.Look || j.row.Attempts > 0}
}

func (j *job) end() time.Time {
	if !j.call.EndedAt.IsZero() {
		return j.call.EndedAt.Time
	}
	return j.call.StartedAt.Time
}

func (j *job) person(ext string) crm.Person {
	p := crm.Person{Extension: ext}
	if e, ok := j.t.People.ByExtension(ext); ok {
		p.User = e.User
	}
	return p
}

// record is the call as the CRM gets it: the employee is who talked last, else
// who began the call, else whose phone rang last.
func (j *job) record() crm.CallRecord {
	c := &j.call
	ext := c.LastTalked()
	if ext == "" {
		ext = c.Agent
	}
	if ext == "" && len(c.Rang) > 0 {
		ext = c.Rang[len(c.Rang)-1]
	}
	rec := crm.CallRecord{Call: *c, Contact: j.entry.Contact.ID, Kind: j.entry.Contact.Kind,
		LineName: j.t.Lines(c.Line).Name, Source: j.source(), RecordURL: j.t.RecordURL(c)}
	if ext != "" {
		rec.Agent = j.person(ext)
	}
	for _, e := range slices.Concat(c.Rang, c.AnsweredBy) {
		if !slices.ContainsFunc(rec.People, func(p crm.Person) bool { return p.Extension == e }) {
			rec.People = append(rec.People, j.person(e))
		}
	}
	return rec
}

// source is where a client who called came from; who is called by us did not
// come by the line he is shown.
func (j *job) source() map[string]string {
	if j.call.Direction != bridge.In {
		return nil
	}
	return j.t.Lines(j.call.Line).Source
}

// words are what the rule writes, and who is responsible for it.
func (j *job) words(ctx context.Context) (title, text string, who crm.UserID, err error) {
	if j.byHand() {
		who, err = j.responsible(ctx)
		return j.row.Action.Title, j.row.Action.Text, who, err
	}
	data := j.data()
	if title, err = j.expand(j.row.Action.Title, data); err != nil {
		return "", "", "", err
	}
	if text, err = j.expand(j.row.Action.Text, data); err != nil {
		return "", "", "", err
	}
	who, err = j.responsible(ctx)
	return title, text, who, err
}

func (j *job) expand(tmpl string, data rules.Data) (string, error) {
	if tmpl == "" {
		return "", nil
	}
	s, err := rules.Expand(tmpl, data)
	if err != nil {
		return "", &fault.Error{Kind: fault.Invalid, Op: "text of " + j.row.Action.Rule, Err: err}
	}
	return s, nil
}

func (j *job) expandAll(in map[string]string, data rules.Data) (map[string]string, error) {
	out := make(map[string]string, len(in))
	for k, tmpl := range in {
		v, err := j.expand(tmpl, data)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
