package retailcrm

import (
	"context"
	"net/url"

	"callbridge/crm"
)

type moduleCode struct {
	User int64  `json:"userId"`
	Code string `json:"code"`
}

type modulePhone struct {
	Site  string `json:"siteCode"`
	Phone string `json:"externalPhone"`
}

type telephony struct {
	MakeCall string        `json:"makeCallUrl"`
	Status   string        `json:"changeUserStatusUrl"`
	Edit     bool          `json:"allowEdit"`
	Input    bool          `json:"inputEventSupported"`
	Output   bool          `json:"outputEventSupported"`
	Hangup   bool          `json:"hangupEventSupported"`
	Codes    []moduleCode  `json:"additionalCodes"`
	Phones   []modulePhone `json:"externalPhones,omitempty"`
}

type module struct {
	Code         string               `json:"code"`
	Integration  string               `json:"integrationCode"`
	Active       bool                 `json:"active"`
	Name         string               `json:"name"`
	Logo         string               `json:"logo"`
	ClientID     string               `json:"clientId"`
	BaseURL      string               `json:"baseUrl"`
	AccountURL   string               `json:"accountUrl,omitempty"`
	Actions      map[string]string    `json:"actions,omitempty"`
	Integrations map[string]telephony `json:"integrations"`
}

// Install registers our telephony in the portal, or changes it: the lists
// replace what the portal has, so they are always sent whole. Inactive,
// it stays in the portal's list, switched off.
func (c *client) Install(ctx context.Context, m crm.Module) error {
	const op = "register module"
	c.api.AddSecret(m.ClientID)
	code := "callbridge-" + c.env.Integration
	t := telephony{MakeCall: m.MakeCallURL, Status: m.StatusURL, Input: true, Output: true, Hangup: true, Codes: []moduleCode{}}
	for _, p := range m.Extensions {
		if id := userID(p.User); id != 0 && p.Extension != "" {
			t.Codes = append(t.Codes, moduleCode{id, p.Extension})
		}
	}
	if m.Phone != "" && c.site() != "" {
		t.Phones = []modulePhone{{c.site(), c.line(m.Phone)}}
	}
	doc := module{Code: code, Integration: "callbridge", Active: m.Active, Name: "Callbridge", Logo: m.LogoURL, ClientID: m.ClientID,
		BaseURL: m.BaseURL, AccountURL: m.AccountURL, Integrations: map[string]telephony{"telephony": t}}
	if m.ActivityPath != "" {
		doc.Actions = map[string]string{"activity": m.ActivityPath}
	}
	var ans struct {
		Success *bool `json:"success"`
		Info    crm.Map[struct {
			Users []crm.Text `json:"notExistUsersIds"`
		}] `json:"info"`
	}
	form, err := c.form("integrationModule", doc)
	if err != nil {
		return invalid(op, "cannot write the request: %v", err)
	}
	// A repeat replaces the whole: a lost answer may simply be asked for again.
	err = c.api.Do(ctx, crm.Request{Op: op, Method: "POST", Path: "/api/v5/integration-modules/" + url.PathEscape(code) + "/edit", Form: form, Safe: true}, &ans)
	if err == nil && ans.Success == nil {
		return lost(op, false, "result")
	}
	return err
}
