package deliver

import (
	"context"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// before returns the row of the same call that this one goes on with: its key
// is this one's without the suffix. ok is false when that row made nothing,
// and this one is thereby finished.
func (j *job) before(ctx context.Context, suffix, object string) (row bridge.Delivery, ok bool, err error) {
	rows, err := j.w.store.OfCall(ctx, j.row.Integration, j.row.CallID)
	if err != nil {
		return row, false, err
	}
	made := j.row.Action.Key
	if i := strings.LastIndex(made, suffix); i >= 0 {
		made = made[:i] // what comes after tells repetitions apart
	}
	for _, r := range rows {
		switch {
		case r.Action.Key != made:
		case r.State != bridge.Done:
			return r, false, j.skip("the %s itself is %s", object, r.State)
		default:
			return r, true, nil
		}
	}
	return row, false, j.skip("no %s was made", object)
}

// attachRecording gives the CRM the link to a recording that was complete only
// after the call had been written (D-13, D-15).
func (j *job) attachRecording(ctx context.Context) error {
	ra, ok, err := able[crm.RecordAttacher](j, "%s takes the link of a recording with the call itself only")
	if !ok {
		return err
	}
	call, ok, err := j.before(ctx, bridge.RecordingSuffix, "record of the call")
	if !ok || err != nil {
		return err
	}
	if done, err := j.client(ctx); done || err != nil {
		return err
	}
	rec := j.record()
	if rec.RecordURL == "" {
		return j.skip("there is no recording any more, or nobody outside could open it")
	}
	m, err := ra.AttachRecord(ctx, crm.Key{ID: call.Action.Key, Look: true}, rec)
	m.Found = false // it always was: that is no news
	return j.keep(m, err)
}

// closeTask closes the task that was made for a missed call, because somebody
// has talked to the client since (F-6).
func (j *job) closeTask(ctx context.Context) error {
	tc, ok, err := able[crm.TaskCloser](j, "%s lets nobody close tasks from outside")
	if !ok {
		return err
	}
	task, ok, err := j.before(ctx, bridge.CloseSuffix, "task")
	if !ok || err != nil {
		return err
	}
	if task.ObjectID == "" {
		return j.skip("the CRM gave the task no id")
	}
	m, err := tc.CloseTask(ctx, j.key(), crm.ObjectID(task.ObjectID), j.row.Action.Text)
	switch {
	case err != nil && fault.KindOf(err) == fault.Gone:
		return j.skip("the task is not in the CRM any more")
	case err != nil:
		return err
	}
	j.row.ObjectID, j.row.ObjectURL = task.ObjectID, task.ObjectURL
	if m.Found {
		j.note("somebody had closed it already")
	}
	return nil
}
