package retailcrm

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"callbridge/crm"
)

var (
	_ crm.Noter      = (*client)(nil)
	_ crm.NoteAuthor = (*client)(nil)
)

// ShowsAuthor says that a note has its manager.
func (c *client) ShowsAuthor() {}

const notesPath = "/api/v5/customers/notes"

// CreateNote writes a note of a customer. It needs a right beyond those of the
// telephony: /api/customers/notes/create, and /api/customers/notes to look
// before a repeat. Notes have no external id, so the key is the last line of
// the text. That the list can be asked for one customer's notes
// (filter[customerIds]) is inferred from the client libraries.
func (c *client) CreateNote(ctx context.Context, key crm.Key, n crm.NewNote) (crm.Made, error) {
	made := crm.Made{URL: c.customerURL(n.Contact)}
	if key.Look {
		id, err := c.findNote(ctx, n.Contact, func(text string) bool { return strings.HasSuffix(strings.TrimSpace(text), key.ID) })
		if err != nil || id != "" {
			made.ID, made.Found = id, id != ""
			return made, err
		}
	}
	n.Text = strings.TrimSpace(n.Text) + "\n\n" + key.ID
	id, err := c.postNote(ctx, n)
	if err != nil {
		return made, c.confirmGone(ctx, err, n.Contact)
	}
	if made.ID = id; id == "" {
		return made, lost("create note", true, "id")
	}
	return made, nil
}

func (c *client) postNote(ctx context.Context, n crm.NewNote) (crm.ObjectID, error) {
	customer, _ := strconv.ParseInt(string(n.Contact), 10, 64) // no number: the CRM refuses it with its own words
	doc := map[string]any{"text": n.Text, "customer": map[string]any{"id": customer}}
	if u := userID(n.Author); u != 0 {
		doc["managerId"] = u
	}
	var ans struct {
		ID crm.Text `json:"id"`
	}
	err := c.post(ctx, "create note", notesPath+"/create", "note", doc, nil, &ans)
	return crm.ObjectID(ans.ID), err
}

// findNote looks for the note an earlier attempt made, by its text.
func (c *client) findNote(ctx context.Context, contact crm.ContactID, is func(text string) bool) (crm.ObjectID, error) {
	rows, err := list[struct {
		ID   crm.Text `json:"id"`
		Text crm.Text `json:"text"`
	}](ctx, c, "look for note", notesPath, "notes", url.Values{"filter[customerIds][]": {string(contact)}})
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.ID != "" && is(string(r.Text)) {
			return crm.ObjectID(r.ID), nil
		}
	}
	return "", nil
}
