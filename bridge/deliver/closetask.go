package deliver

import (
	"context"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// closeTask closes the task that was made for a missed call, because somebody
// has talked to the client since (F-6).
func (j *job) closeTask(ctx context.Context) error {
	tc, ok := j.t.Client.(crm.TaskCloser)
	if !ok {
		return j.skip("%s lets nobody close tasks from outside", j.t.Title)
	}
	rows, err := j.w.store.OfCall(ctx, j.row.Integration, j.row.CallID)
	if err != nil {
		return err
	}
	made := strings.TrimSuffix(j.row.Action.Key, bridge.CloseSuffix)
	for _, r := range rows {
		if r.Action.Key != made {
			continue
		}
		if r.State != bridge.Done || r.ObjectID == "" {
			return j.skip("there is no task: it is %s", r.State)
		}
		m, err := tc.CloseTask(ctx, j.key(), crm.ObjectID(r.ObjectID), j.row.Action.Text)
		if fault.KindOf(err) == fault.Gone && err != nil {
			return j.skip("the task is not in the CRM any more")
		}
		if err != nil {
			return err
		}
		j.row.ObjectID, j.row.ObjectURL = r.ObjectID, r.ObjectURL
		if m.Found {
			j.note("somebody had closed it already")
		}
		return nil
	}
	return j.skip("no task was made")
}
