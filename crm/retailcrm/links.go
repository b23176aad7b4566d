package retailcrm

import "callbridge/crm"

// Addresses of cards in the web interface; inferred from the ones the
// telephony methods return.

func (c *client) customerURL(id crm.ContactID) string {
	if id == "" {
		return ""
	}
	return c.base + "/customers/" + string(id)
}

func (c *client) orderURL(id crm.ObjectID) string {
	if id == "" {
		return ""
	}
	return c.base + "/orders/" + string(id) + "/edit"
}

func (c *client) taskURL(id crm.ObjectID) string {
	if id == "" {
		return ""
	}
	return c.base + "/tasks/" + string(id) + "/edit"
}
