package megaplan

import "callbridge/crm"

// Addresses of pages for people, concluded from the web interface; nothing
// documents them.

func (c *client) clientURL(id crm.ContactID) string {
	if id == "" {
		return ""
	}
	return c.base + "/crm/" + string(id) + "/card/"
}

func (c *client) todoURL(id string) string { return c.base + "/event/" + id + "/card/" }

func (c *client) dealURL(id string) string { return c.base + "/deals/" + id + "/card/" }
