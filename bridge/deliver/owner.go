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
	agent := bridge.Employee{Extension: ext, Name: j.t.Employee(ext)}
	if e, ok := j.t.People.ByExtension(ext); ok && ext != "" {
		agent.Email = e.Email
		agent.Name = cmpOr(agent.Name, e.Name)
	}
	d := rules.NewData(j.call, rules.About{Line: j.t.Lines(j.call.Line), Agent: agent, RecordURL: j.t.RecordURL(&j.call), Zone: j.t.Zone})
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
