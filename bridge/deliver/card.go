package deliver

import (
	"context"
	"fmt"

	"callbridge/bridge"
	"callbridge/crm"
)

// What an employee asked for on the card is written as he wrote it: nothing in
// it is a template.

// byHand says that an employee wants it, and no rule.
func (j *job) byHand() bool { return j.row.Action.Trigger == bridge.OnCard }

// writer is the CRM's user whose card it was, "" if the CRM does not know him.
func (j *job) writer() crm.UserID {
	if e, ok := j.t.People.ByExtension(j.row.Action.Extension); ok && j.row.Action.Extension != "" {
		return e.User
	}
	return ""
}

// writeNote writes what was said on the card into the client's history.
func (j *job) writeNote(ctx context.Context) error {
	n, ok, err := begin[crm.Noter](ctx, j, "%s keeps no notes about clients")
	if !ok {
		return err
	}
	if !j.entry.Found() {
		return j.skip("there is no contact to write into")
	}
	text := j.row.Action.Text
	if j.row.Action.Kind == bridge.ActOutcome {
		text = "Итог разговора: " + text // what goes into the CRM is Russian by default
	}
	author := j.writer()
	if author == "" || j.signs() {
		if who := j.t.Employee(j.row.Action.Extension); who != "" {
			text += "\n— " + who
		} else if j.row.Action.Extension != "" {
			text += fmt.Sprintf("\n— %s", j.row.Action.Extension)
		}
	}
	return j.keep(n.CreateNote(ctx, j.key(), crm.NewNote{Text: text, Author: author, Contact: j.entry.Contact.ID, ContactKind: j.entry.Contact.Kind}))
}

// signs says that the name must stand in the text: the CRM shows our own
// account as the author of every note.
func (j *job) signs() bool {
	_, own := j.t.Client.(crm.NoteAuthor)
	return !own
}
