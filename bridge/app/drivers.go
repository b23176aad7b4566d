package app

import (
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/megaplan"
	"callbridge/crm/retailcrm"
)

// Drivers is THE list of CRMs.
func Drivers() []crm.Driver { return []crm.Driver{megaplan.Driver, retailcrm.Driver} }

// Credentials returns what the user must fill in, by kind of CRM.
func Credentials() map[string][]setting.Field {
	out := map[string][]setting.Field{}
	for _, d := range Drivers() {
		out[d.Name] = d.Fields
	}
	return out
}
