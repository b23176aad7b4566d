package megaplan

import (
	"context"

	"callbridge/crm"
)

var _ crm.RecordAttacher = (*client)(nil)

// AttachRecord writes the call again, now with the link: Megaplan changes the
// call it knows by our id.
func (c *client) AttachRecord(ctx context.Context, key crm.Key, r crm.CallRecord) (crm.Made, error) {
	return c.LogCall(ctx, key, r)
}
