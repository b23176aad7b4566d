package retailcrm

import (
	"context"
	"net/url"

	"callbridge/crm"
)

var _ crm.OwnerChanger = (*client)(nil)

// ChangeOwner makes another manager responsible for a customer.
func (c *client) ChangeOwner(ctx context.Context, contact crm.Contact, to crm.UserID) error {
	const op = "change manager"
	id := userID(to)
	if id == 0 {
		return invalid(op, "%q is no user id of retailCRM", to)
	}
	return c.post(ctx, op, "/api/v5/customers/"+url.PathEscape(string(contact.ID))+"/edit", "customer",
		map[string]any{"managerId": id}, url.Values{"by": {"id"}}, nil)
}
