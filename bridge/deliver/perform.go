package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// job is one attempt: the row, its call, and what was found out on the way.
type job struct {
	w     *Worker
	t     *Target
	row   bridge.Delivery
	call  bridge.Call
	entry Entry // the client in this CRM
	notes []string
}

func (j *job) note(format string, args ...any) {
	j.notes = append(j.notes, fmt.Sprintf(format, args...))
}

// skip ends the row without doing anything in the CRM.
func (j *job) skip(format string, args ...any) error {
	j.row.State = bridge.Skipped
	j.note(format, args...)
	return nil
}

// made ends the row with what the CRM has now.
func (j *job) made(m crm.Made) {
	j.row.ObjectID, j.row.ObjectURL = string(m.ID), m.URL
	if m.Found {
		j.note("was already there")
	}
}

// keep ends an action with what the CRM answered.
func (j *job) keep(m crm.Made, err error) error {
	if err == nil {
		j.made(m)
	}
	return err
}

// able returns what the CRM of the row can do; ok is false when it cannot, and
// the row is thereby finished. lacks says so, with %s for the CRM's name.
func able[T any](j *job, lacks string) (t T, ok bool, err error) {
	if t, ok = j.t.Client.(T); !ok {
		err = j.skip(lacks, j.t.Title)
	}
	return t, ok, err
}

// begin is able for an action about the client of the call: it is found, and
// fits the rule's "known".
func begin[T any](ctx context.Context, j *job, lacks string) (t T, ok bool, err error) {
	if t, ok, err = able[T](j, lacks); !ok {
		return t, false, err
	}
	done, err := j.client(ctx)
	return t, !done && err == nil, err
}

// perform makes one attempt. The row returned has the state Trying unless the
// action turned out not to be wanted; judge does the rest.
func (w *Worker) perform(ctx context.Context, d bridge.Delivery) (bridge.Delivery, error) {
	call, err := w.store.CallRecord(ctx, d.CallID)
	if err != nil {
		return d, fmt.Errorf("call %s: %w", d.CallID, err)
	}
	j := &job{w: w, t: &w.target, row: d, call: call}
	err = j.run(ctx)
	return j.close(err), err
}

// close writes the notes of an attempt into its row.
func (j *job) close(err error) bridge.Delivery {
	if len(j.notes) > 0 {
		j.row.Note = strings.Join(j.notes, "; ")
	} else if err == nil {
		j.row.Note = ""
	}
	return j.row
}

func (j *job) run(ctx context.Context) error {
	switch j.row.Action.Kind {
	case bridge.ActPopup:
		return j.popup(ctx)
	case bridge.ActContact:
		return j.contact(ctx)
	case bridge.ActFields:
		return j.fields(ctx)
	case bridge.ActCall:
		return j.logCall(ctx)
	case bridge.ActCommunication:
		return j.communication(ctx)
	case bridge.ActTask:
		return j.task(ctx)
	case bridge.ActProcess:
		return j.process(ctx)
	case bridge.ActRecording:
		return j.attachRecording(ctx)
	case bridge.ActCloseTask:
		return j.closeTask(ctx)
	case bridge.ActOwner:
		return j.owner(ctx)
	case bridge.ActNote, bridge.ActOutcome:
		return j.writeNote(ctx)
	}
	return fault.New(fault.Invalid, "deliver", "unknown kind of action %q", j.row.Action.Kind)
}

// client finds the client of the call and checks the rule's "known". done is
// true when the row is thereby finished.
func (j *job) client(ctx context.Context) (done bool, err error) {
	if j.entry, err = j.t.Book.Find(ctx, j.call.Client, bookAge); err != nil {
		return false, err
	}
	if !j.entry.Found() && j.call.Client != "" && !j.entry.At.IsZero() && j.w.now().Sub(j.entry.At) > time.Minute {
		// "Nobody" may be out of date: somebody may have made the contact since.
		if j.entry, err = j.t.Book.Find(ctx, j.call.Client, 0); err != nil {
			return false, err
		}
	}
	if j.entry.Several > 1 {
		j.note("%d contacts have this number; the oldest, %s, is used", j.entry.Several, j.entry.Contact.ID)
	}
	want := j.row.Action.Known
	if want == nil {
		return false, nil
	}
	known, why, err := j.known(ctx)
	if err != nil {
		return false, err
	}
	if known != *want {
		return true, j.skip("the rule wants %s, but %s", map[bool]string{true: "a known client", false: "a new client"}[*want], why)
	}
	j.note("%s", why)
	return false, nil
}

// known says whether the client was in the CRM before this call. A contact
// that this very call made does not count.
func (j *job) known(ctx context.Context) (bool, string, error) {
	if !j.entry.Found() {
		return false, "no contact has the number", nil
	}
	made, err := j.madeContact(ctx)
	if err != nil {
		return false, "", err
	}
	if made != "" && made == j.entry.Contact.ID {
		return false, "contact " + string(made) + " was made for this call", nil
	}
	return true, "contact " + string(j.entry.Contact.ID) + " has the number", nil
}

// madeContact returns the contact that this call made, "" if it made none.
func (j *job) madeContact(ctx context.Context) (crm.ContactID, error) {
	rows, err := j.w.store.OfCall(ctx, j.row.Integration, j.row.CallID)
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.Action.Kind == bridge.ActContact && r.State == bridge.Done && r.Note != noteExisted {
			return crm.ContactID(r.ObjectID), nil
		}
	}
	return "", nil
}

const noteExisted = "the client is in the CRM already"

func (j *job) contact(ctx context.Context) error {
	if j.call.Client == "" {
		return j.skip("the number is withheld or no public one: there is nothing to make a contact of")
	}
	// One is made only after a fresh look: nobody else makes contacts of this
	// number for us meanwhile, since the rows of one client run one at a time
	// (F-5, D-20). One that the card's look found a moment ago is there.
	entry, ok := j.t.Book.Known(ctx, j.call.Client)
	if !ok || !entry.Found() || j.w.now().Sub(entry.At) > lookedUp {
		var err error
		if entry, err = j.t.Book.Find(ctx, j.call.Client, 0); err != nil {
			return err
		}
	}
	j.entry = entry
	if entry.Found() {
		j.row.ObjectID, j.row.ObjectURL = string(entry.Contact.ID), entry.Contact.URL
		if !j.row.Look {
			j.note(noteExisted)
		}
		return nil
	}
	who, err := j.responsible(ctx)
	if err != nil {
		return err
	}
	data := j.data()
	name, err := j.expand(j.row.Action.Title, data)
	if err != nil {
		return err
	}
	if name == "" {
		name = cmpOr(j.call.ClientName, data.Client.Phone)
	}
	fields, err := j.expandAll(j.row.Action.Fields, data)
	if err != nil {
		return err
	}
	c, err := j.t.Client.CreateContact(ctx, j.key(), crm.NewContact{Name: name, Phone: j.call.Client,
		Responsible: who, Source: j.source(), Fields: fields})
	if err != nil {
		return err
	}
	j.row.ObjectID, j.row.ObjectURL = string(c.ID), c.URL
	return j.t.Book.Remember(ctx, j.call.Client, c)
}

func (j *job) fields(ctx context.Context) error {
	fw, ok, err := begin[crm.FieldWriter](ctx, j, "%s has no fields to write")
	if !ok {
		return err
	}
	if !j.entry.Found() {
		return j.skip("there is no contact to write into")
	}
	fields, err := j.expandAll(j.row.Action.Fields, j.data())
	if err != nil {
		return err
	}
	for k, v := range fields {
		if v == "" {
			delete(fields, k) // an empty value of ours never wipes one of the CRM's
		}
	}
	if len(fields) == 0 {
		return j.skip("none of the fields has a value for this call")
	}
	if err := fw.UpdateContact(ctx, j.entry.Contact.ID, fields); err != nil {
		return err
	}
	j.row.ObjectID, j.row.ObjectURL = string(j.entry.Contact.ID), j.entry.Contact.URL
	return nil
}

func (j *job) popup(ctx context.Context) error {
	p, ok, err := able[crm.Popper](j, "%s has no call window of its own")
	if !ok {
		return err
	}
	if _, shows := j.t.Client.(crm.HoldShower); !shows && j.row.Action.Trigger == bridge.OnHold {
		return j.skip("the call window of %s shows no hold", j.t.Title)
	}
	if _, shows := j.t.Client.(crm.StopShower); !shows && j.row.Action.Trigger == bridge.OnStop {
		return j.skip("the call window of %s closes by itself", j.t.Title)
	}
	ext := j.row.Action.Extension
	if ext != "" {
		if _, ok := j.t.People.ByExtension(ext); !ok {
			return j.skip("extension %s is not joined to a user of %s, so he sees nothing there (M-2.1.6): add it in the CRM's telephony settings", ext, j.t.Title)
		}
	}
	phase := j.row.Action.Trigger
	limit := popupLimit
	if phase == bridge.OnEnd {
		limit = hangupLimit
	}
	if age := j.w.now().Sub(j.row.CreatedAt.Time); age > limit {
		return j.skip("too late: the call was %d s ago", int(age.Seconds()))
	}
	if phase != bridge.OnEnd && j.call.Ended() {
		return j.skip("too late: the call is over")
	}
	if done, err := j.client(ctx); done || err != nil {
		return err
	}
	rec := j.record()
	if ext != "" {
		rec.Agent = j.person(ext)
	}
	return j.keep(p.Popup(ctx, j.key(), phase, rec))
}

func (j *job) logCall(ctx context.Context) error {
	l, ok, err := begin[crm.CallLogger](ctx, j, "%s keeps no calls")
	if !ok {
		return err
	}
	if j.w.batches(j.row) != nil {
		return j.w.pennedUp(j)
	}
	m, err := l.LogCall(ctx, j.key(), j.record())
	if not, ok := errors.AsType[*crm.NotKept](err); ok {
		return j.skip("%s", not.Why)
	}
	return j.keep(m, err)
}

func (j *job) communication(ctx context.Context) error {
	c, ok, err := begin[crm.Communicator](ctx, j, "%s keeps no communications apart from calls")
	if !ok {
		return err
	}
	title, text, who, err := j.words(ctx)
	if err != nil {
		return err
	}
	rec := j.record()
	rec.Title, rec.Text = title, text
	rec.Length = time.Duration(j.row.Action.Minutes) * time.Minute
	if rec.Length == 0 && j.call.TalkMS != nil {
		rec.Length = time.Duration(*j.call.TalkMS) * time.Millisecond
	}
	return j.keep(c.CreateCommunication(ctx, j.key(), rec, who))
}

func (j *job) task(ctx context.Context) error {
	tk, ok, err := begin[crm.Tasker](ctx, j, "%s has no tasks")
	if !ok {
		return err
	}
	title, text, who, err := j.words(ctx)
	if err != nil {
		return err
	}
	rec := j.record()
	t := crm.NewTask{Title: title, Text: text, Responsible: who, Contact: j.entry.Contact.ID,
		ContactKind: j.entry.Contact.Kind, Phone: j.call.Client, Record: &rec}
	if j.row.Action.Due > 0 {
		// From the end of the call, so that a resend days later keeps the deadline.
		t.Due = j.t.Settings.WorkingHours.Add(j.end(), time.Duration(j.row.Action.Due), j.t.Zone)
	}
	if at := j.row.Action.DueAt; !at.IsZero() {
		t.Due = at.Time
	}
	return j.keep(tk.CreateTask(ctx, j.key(), t))
}

func (j *job) process(ctx context.Context) error {
	dm, ok, err := begin[crm.DealMaker](ctx, j, "%s has no processes")
	if !ok {
		return err
	}
	a := j.row.Action
	if a.AttachOpen && j.entry.Found() {
		open, err := dm.OpenDeals(ctx, j.entry.Contact.ID)
		if err != nil {
			return err
		}
		for _, d := range open {
			if a.Scheme == "" || d.Pipeline == a.Scheme || strings.EqualFold(d.PipelineName, strings.TrimSpace(a.Scheme)) {
				j.row.ObjectID, j.row.ObjectURL = string(d.ID), d.URL
				return j.skip("the open process %s is used instead of a new one", cmpOr(d.Name, string(d.ID)))
			}
		}
	}
	title, text, who, err := j.words(ctx)
	if err != nil {
		return err
	}
	fields, err := j.expandAll(a.Fields, j.data())
	if err != nil {
		return err
	}
	maps.DeleteFunc(fields, func(_, v string) bool { return v == "" })
	rec := j.record()
	return j.keep(dm.CreateDeal(ctx, j.key(), crm.NewDeal{Title: title, Text: text, Pipeline: a.Scheme, Responsible: who,
		Contact: j.entry.Contact.ID, ContactKind: j.entry.Contact.Kind, ContactName: j.entry.Contact.Name,
		Phone: j.call.Client, Source: j.source(), Fields: fields, Record: &rec}))
}
