package megaplan

import (
	"context"
	"errors"
	"net/http"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

var _ crm.Noter = (*client)(nil)

// CreateNote writes a comment of the client (5.8). One path for both kinds of
// clients answered 500 for one account (1.6 no. 11), so the particular one
// goes first, and a repeat that is refused in that way tries the other.
func (c *client) CreateNote(ctx context.Context, key crm.Key, n crm.NewNote) (crm.Made, error) {
	made := crm.Made{URL: c.clientURL(n.Contact)}
	paths := []string{"/contractorHuman/", "/contractor/"}
	if n.ContactKind == "company" {
		paths[0] = "/contractorCompany/"
	}
	if !key.Look {
		paths = paths[:1]
	}
	var last error
	for _, path := range paths {
		path += pathID(string(n.Contact)) + "/comments"
		if key.Look {
			id, err := c.findComment(ctx, key, path)
			if err != nil && !broken(err) || id != "" {
				made.ID, made.Found = crm.ObjectID(id), id != ""
				return made, err
			}
		}
		done, err := c.post(ctx, "create comment", path, object{"contentType": "Comment", "content": paragraph(n.Text) + marker(key.ID)})
		if made.ID = crm.ObjectID(done.ID); err == nil || !broken(err) {
			return made, c.gone(ctx, err, n.Contact)
		}
		last = err
	}
	return made, last
}

// broken says that Megaplan answered 5xx.
func broken(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Status >= http.StatusInternalServerError
}

func (c *client) findComment(ctx context.Context, key crm.Key, path string) (string, error) {
	type comment struct {
		thing
		Content crm.Text `json:"content"`
	}
	all, err := list(ctx, c, "find comment", path, object{}, 20, func(x comment) thing { return x.thing })
	if err != nil {
		return "", err
	}
	for _, x := range all {
		if marked(string(x.Content), key.ID) {
			return string(x.ID), nil
		}
	}
	return "", nil
}
