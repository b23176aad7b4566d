package deliver

import (
	"context"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/rules"
	"callbridge/crm"
)

// data is what the templates of this row may name.
func (j *job) data() rules.Data {
	ext := rules.AgentOf(&j.call)
	name := func(ext string) string {
		e, ok := j.t.People.ByExtension(ext)
		if ours := j.t.Employee(ext); ours != "" || !ok || ext == "" {
			return ours
		}
		return e.Name
	}
	agent := bridge.Employee{Extension: ext, Name: name(ext)}
	if e, ok := j.t.People.ByExtension(ext); ok && ext != "" {
		agent.Email = e.Email
	}
	d := rules.NewData(j.call, rules.About{Line: j.t.Lines(j.call.Line), Agent: agent, Name: name, RecordURL: j.t.RecordURL(&j.call), Zone: j.t.Zone})
	if name := j.entry.Contact.Name; name != "" {
		if _, kind := phone.Parse(name, "RU"); kind == phone.Invalid { // a contact named by its number has no name
			d.Client.Name = name // the CRM knows better than the telephone network
		}
	}
	return d
}

// responsible finds the CRM user whom the row's rule makes responsible, and
// notes why. Nobody ("") leaves the choice to the CRM.
func (j *job) responsible(ctx context.Context) (crm.UserID, error) {
	if j.byHand() && j.row.Action.Responsible == "" {
		if u := j.writer(); u != "" {
			j.note("responsible: who asked for it on the card")
			return u, nil
		}
	}
	o := rules.Responsible(j.row.Action.Responsible, j.call, rules.Staff{Default: j.t.Settings.DefaultResponsible})
	why := o.Why
	switch o.Ask {
	case rules.ByContact:
		if u := j.entry.Contact.Responsible; u != "" {
			j.note("responsible: the contact's own")
			return u, nil
		}
		why = "the contact has no responsible, so the default"
	case rules.ByManager:
		u, err := j.manager(ctx)
		if err != nil {
			return "", err
		}
		if u != "" {
			j.note("responsible: the personal manager")
			return u, nil
		}
		why = "the client has no personal manager, so the default"
	}
	if o.Extension != "" {
		if e, ok := j.t.People.ByExtension(o.Extension); ok {
			j.note("responsible: %s", why)
			return e.User, nil
		}
		why = "extension " + o.Extension + " is not joined to a user of " + j.t.Title + ", so the default"
	}
	if o.Email != "" {
		if e, ok := j.t.People.ByEmail(o.Email); ok {
			j.note("responsible: %s", why)
			return e.User, nil
		}
	}
	if d := j.t.Settings.DefaultResponsible; d != "" && d != o.Email {
		if e, ok := j.t.People.ByEmail(d); ok {
			j.note("responsible: %s", why)
			return e.User, nil
		}
	}
	j.note("responsible: left to %s, because no user there has the e-mail of the default responsible", j.t.Title)
	return "", nil
}

// manager asks the CRM who the client's personal manager is.
func (j *job) manager(ctx context.Context) (crm.UserID, error) {
	if u := j.entry.Dealer; u != "" {
		return u, nil // of the open process: the same order as for routing (M-4.6)
	}
	if u := j.entry.Contact.Responsible; u != "" {
		return u, nil
	}
	r, ok := j.t.Client.(crm.Router)
	if !ok || j.call.Client == "" {
		return "", nil
	}
	m, err := r.PersonalManager(ctx, j.call.Client)
	return m.User, err
}

// owner gives a contact that this call made to whom the rule means now that
// the call is over: who talked last, or longest (M-4.1.1, D-03). A contact that
// was there before the call keeps its responsible, and so does one that
// somebody gave to another meanwhile.
func (j *job) owner(ctx context.Context) error {
	changer, ok := j.t.Client.(crm.OwnerChanger)
	if !ok {
		return j.skip("%s does not let the responsible of a contact be changed", j.t.Title)
	}
	made, err := j.madeContact(ctx)
	if err != nil {
		return err
	}
	if made == "" {
		return j.skip("this call made no contact, and one that was there before keeps its responsible")
	}
	if j.entry, err = j.t.Book.Find(ctx, j.call.Client, 0); err != nil {
		return err
	}
	c := j.entry.Contact
	for _, o := range j.entry.Others {
		if o.ID == made {
			c = o
		}
	}
	if c.ID != made {
		return j.skip("contact %s, which this call made, is no longer there", made)
	}
	to, err := j.responsible(ctx)
	if err != nil {
		return err
	}
	j.row.ObjectID, j.row.ObjectURL = string(c.ID), c.URL
	switch {
	case to == "":
		return j.skip("nobody to give contact %s to", made)
	case to == c.Responsible:
		return j.skip("contact %s is his already", made)
	case c.Responsible != "" && !j.ours(c.Responsible):
		return j.skip("somebody gave contact %s to %s meanwhile", made, cmpOr(c.Manager, string(c.Responsible)))
	}
	if err := changer.ChangeOwner(ctx, c, to); err != nil {
		return err
	}
	c.Responsible, c.Manager = to, ""
	if e, ok := j.t.People.ByUser(to); ok {
		c.Manager = e.Name
	}
	return j.t.Book.KeepContact(ctx, j.call.Client, c)
}

// ours says whether Callbridge itself can have made u responsible: he talked
// in this call, or he is the default.
func (j *job) ours(u crm.UserID) bool {
	for _, ext := range j.call.AnsweredBy {
		if e, ok := j.t.People.ByExtension(ext); ok && e.User == u {
			return true
		}
	}
	e, ok := j.t.People.ByEmail(j.t.Settings.DefaultResponsible)
	return ok && e.User == u
}
