package megaplan

import (
	"cmp"
	"context"
	"net/http"

	"callbridge/crm"
)

var _ crm.OwnerChanger = (*client)(nil)

// ChangeOwner makes another employee responsible for a client. Whoever else is
// responsible stays so: only the first employee, our personal manager (5.7),
// is replaced.
func (c *client) ChangeOwner(ctx context.Context, contact crm.Contact, to crm.UserID) error {
	now, err := c.contractor(ctx, string(contact.ID))
	if err != nil {
		return err
	}
	path := "/contractorHuman/"
	if now.ContentType == company {
		path = "/contractorCompany/"
	}
	list := []any{link("Employee", string(to))}
	replaced := false
	for _, r := range now.Responsibles {
		switch {
		case string(r.ID) == string(to) && r.ContentType == "Employee", r.ID == "":
		case !replaced && r.ContentType == "Employee":
			replaced = true
		default:
			list = append(list, link(string(r.ContentType), string(r.ID)))
		}
	}
	// The id belongs into the body, or a new object may come of it (1.6 no. 8).
	_, err = c.do(ctx, request{op: "change responsible", method: http.MethodPost, path: path + pathID(string(contact.ID)),
		body: object{"contentType": cmp.Or(string(now.ContentType), human), "id": string(contact.ID), "responsibles": list}}, nil)
	return err
}
