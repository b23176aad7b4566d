package retailcrm

import (
	"context"
	"strings"

	"callbridge/bridge"
	"callbridge/crm"
)

var _ crm.RecordAttacher = (*client)(nil)

// AttachRecord gives the portal the link to a recording that came after the
// call had been written. The call is uploaded again with it; whether the portal
// takes that over is not known (reference/retailcrm.md 17 no. 5), so the link
// is put into the client's card as a note besides, once per link. A call whose
// client is not in the CRM has no card.
func (c *client) AttachRecord(ctx context.Context, key crm.Key, r crm.CallRecord) (crm.Made, error) {
	made, err := c.LogCall(ctx, key, r)
	if err != nil || !made.Found || r.Contact == "" {
		return made, err // one that was not there before has its link now
	}
	id, err := c.findNote(ctx, r.Contact, func(text string) bool { return strings.Contains(text, r.RecordURL) })
	if err != nil || id != "" {
		return made, err
	}
	text := "Запись разговора " + c.callDate(r.Call.StartedAt.Time) + "\n" + r.RecordURL + "\n\n" + key.ID + bridge.RecordingSuffix
	if _, err := c.postNote(ctx, crm.NewNote{Contact: r.Contact, Text: text, Author: r.Agent.User}); err != nil {
		return made, c.confirmGone(ctx, err, r.Contact)
	}
	return made, nil
}
