package retailcrm

import (
	"context"
	"net/url"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// statusWords are the CRM's words. Users have one dinner and one break; we
// only ever set the break.
var statusWords = map[crm.UserStatus]string{crm.StatusFree: "free", crm.StatusBusy: "busy", crm.StatusAway: "break", crm.StatusMeal: "dinner"}

// StatusTold reads the word the portal reports a user's change with.
func (c *client) StatusTold(word string) (crm.UserStatus, bool) {
	s, ok := statusOf(word)
	if ok && c.vals.Get(fieldPresence) == "off" {
		s = ""
	}
	return s, ok
}

// statusOf reads one of the CRM's words; false for a word that is none.
func statusOf(word string) (crm.UserStatus, bool) {
	for s, w := range statusWords {
		if w == word {
			return s, true
		}
	}
	return "", false
}

// SetStatus shows in the portal what a user is doing.
func (c *client) SetStatus(ctx context.Context, user crm.UserID, s crm.UserStatus) error {
	const op = "set user status"
	if c.vals.Get(fieldPresence) == "off" {
		return nil
	}
	if userID(user) == 0 {
		return fault.New(fault.Invalid, "retailcrm: "+op, "no user")
	}
	return c.api.Do(ctx, crm.Request{Op: op, Method: "POST", Path: "/api/v5/users/" + url.PathEscape(string(user)) + "/status",
		Form: url.Values{"status": {statusWords[s]}}, Safe: true}, nil)
}

// Status reads what the portal shows. A user without a status is free.
func (c *client) Status(ctx context.Context, user crm.UserID) (crm.UserStatus, error) {
	const op = "read user status"
	if c.vals.Get(fieldPresence) == "off" || userID(user) == 0 {
		return "", nil
	}
	var ans struct {
		User *struct {
			Status crm.Text `json:"status"`
		} `json:"user"`
	}
	if err := c.api.Do(ctx, crm.Request{Op: op, Path: "/api/v5/users/" + url.PathEscape(string(user))}, &ans); err != nil {
		return "", err
	}
	if ans.User == nil {
		return "", lost(op, false, "user")
	}
	if s, ok := statusOf(string(ans.User.Status)); ok {
		return s, nil
	}
	return crm.StatusFree, nil
}
