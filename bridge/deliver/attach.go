package deliver

import (
	"context"
	"strings"

	"callbridge/bridge"
	"callbridge/crm"
)

// attachRecording gives the CRM the link to a recording that was complete only
// after the call had been written (D-13, D-15).
func (j *job) attachRecording(ctx context.Context) error {
	ra, ok := j.t.Client.(crm.RecordAttacher)
	if !ok {
		return j.skip("%s takes the link of a recording with the call itself only", j.t.Title)
	}
	rows, err := j.w.store.OfCall(ctx, j.row.Integration, j.row.CallID)
	if err != nil {
		return err
	}
	made := strings.TrimSuffix(j.row.Action.Key, bridge.RecordingSuffix)
	for _, r := range rows {
		if r.Action.Key != made {
			continue
		}
		if r.State != bridge.Done {
			return j.skip("the call itself is %s", r.State)
		}
		if done, err := j.client(ctx); done || err != nil {
			return err
		}
		rec := j.record()
		if rec.RecordURL == "" {
			return j.skip("there is no recording any more, or nobody outside could open it")
		}
		m, err := ra.AttachRecord(ctx, crm.Key{ID: made, Look: true}, rec)
		if err != nil {
			return err
		}
		j.row.ObjectID, j.row.ObjectURL = string(m.ID), m.URL
		return nil
	}
	return j.skip("the call was not written")
}
