package megaplan

import (
	"context"
	"net/url"
	"regexp"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// signForm is what a sign of a user may look like: it goes into a path.
var signForm = regexp.MustCompile(`^[A-Za-z0-9._~=+-]{1,200}$`)

// WhoOpened asks Megaplan whose sign our page was opened with (2.5). The sign
// of another application proves nothing here.
func (c *client) WhoOpened(ctx context.Context, asked url.Values) (crm.UserID, error) {
	const op = "check who opened our page"
	application, sign := c.v.Get(fieldApplication), asked.Get("userSign")
	switch {
	case application == "":
		return "", fault.New(fault.Invalid, "megaplan: "+op, "application: is missing. %s", fieldApplication.Help)
	case !signForm.MatchString(sign):
		return "", fault.New(fault.Forbidden, "megaplan: "+op, "the page was opened without the sign of a user")
	case asked.Get("applicationUuid") != "" && asked.Get("applicationUuid") != application:
		return "", fault.New(fault.Forbidden, "megaplan: "+op, "the page was opened by another application")
	}
	var e employee
	_, err := c.do(ctx, request{op: op, path: "/integration/" + url.PathEscape(application) + "/checkUserSign/" + url.PathEscape(sign)}, &e)
	if err != nil {
		return "", err
	}
	if e.ID == "" || !e.active() {
		return "", fault.New(fault.Forbidden, "megaplan: "+op, "the sign belongs to nobody who works there")
	}
	return crm.UserID(e.ID), nil
}
