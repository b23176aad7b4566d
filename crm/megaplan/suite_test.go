package megaplan_test

import (
	"strings"
	"testing"

	"callbridge/bridge/setting"
	"callbridge/crm/crmtest"
	"callbridge/crm/megaplan"
	"callbridge/crm/megaplan/megaplantest"
)

const (
	login    = "bot@example.ru"
	password = "pa ss+&ü"
)

var seed = megaplantest.Seed{
	Employees: []megaplantest.Employee{
		{FirstName: "Иван", LastName: "Петров", Email: "ivan@example.ru", Extension: "101"},
		{FirstName: "Анна", LastName: "Белова", Email: "Anna@Example.ru", Extension: "sip:103@pbx.example.ru"},
		{FirstName: "Без", Extension: ""}, // no surname, no e-mail, no numbers
		{FirstName: "Бывший", LastName: "Работник", Email: "gone@example.ru", Dismissed: true},
	},
}

const (
	ivan = "1000001"
	anna = "1000002"
)

func fake() *megaplantest.Server {
	return megaplantest.New(megaplantest.Options{Username: login, Password: password, Seed: seed})
}

// secure writes the address as a user has to: https, but for this machine.
func secure(url string) string {
	if strings.Contains(url, "127.0.0.1") {
		return url
	}
	return strings.Replace(url, "http://", "https://", 1)
}

func match() map[crmtest.Op]string {
	return map[crmtest.Op]string{
		crmtest.Find: "GET /api/v3/callRoute", crmtest.Contact: "POST /api/v3/contractorHuman", crmtest.Call: "POST /api/v3/callInfo/history",
		crmtest.Communication: "POST /api/v3/todo", crmtest.Task: "POST /api/v3/todo", crmtest.Deal: "POST /api/v3/deal",
		crmtest.Employees: "GET /api/v3/employee", crmtest.Note: "/comments",
	}
}

func TestContract(t *testing.T) {
	crmtest.Run(t, crmtest.Setup{
		Driver: megaplan.Driver, New: func() crmtest.Fake { return fake() }, Match: match(), Rights: megaplantest.Rights, Responsible: ivan,
		Values: func(_ crmtest.Fake, url string) setting.Values {
			return setting.Values{"url": secure(url), "username": login, "password": password}
		},
	})
}

func TestContractWithApplicationToken(t *testing.T) {
	crmtest.Run(t, crmtest.Setup{
		Driver: megaplan.Driver, Match: match(), Rights: megaplantest.Rights, Responsible: ivan,
		New: func() crmtest.Fake {
			return megaplantest.New(megaplantest.Options{Token: "app+token/==", Seed: seed})
		},
		Values: func(_ crmtest.Fake, url string) setting.Values {
			return setting.Values{"url": secure(url), "token": "app+token/=="}
		},
	})
}
