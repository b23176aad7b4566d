package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
)

// world is the invented company of demo, sandbox and replay: its people, its
// clients, and its two CRMs.
type world struct {
	megaplan  *megaplantest.Server
	retailcrm *retailcrmtest.Fake
}

type colleague struct{ first, last, email, extension string }

var colleagues = []colleague{
	{"Иван", "Петров", "ivan@example.ru", "101"},
	{"Ольга", "Смирнова", "olga@example.ru", "102"},
	{"Пётр", "Сидоров", "petr@example.ru", "103"},
	{"Анна", "Кузнецова", "anna@example.ru", "104"},
	{"Тимур", "Алиев", "timur@example.ru", "105"},
}

// acquaintance is a client whom the CRMs know, owned by colleague number owner.
type acquaintance struct {
	first, last, company, phone string
	owner                       int
	megaplan, retailcrm         bool
}

var acquaintances = []acquaintance{
	{"Мария", "Соколова", "", "79161234567", 0, true, true},
	{"Алексей", "Морозов", "", "79035554433", 1, true, false},
	{"Елена", "Волкова", "", "79261112233", 2, false, true},
	{"", "", "ООО «Ромашка»", "74957776655", 1, true, false},
	{"Дмитрий", "Лебедев", "", "79851230099", 3, true, true},
}

// strangers call too; no CRM knows them.
var strangers = []arisim.Caller{{Number: "79219998877", Name: "Nikolay"}, {Number: "79117770011"}, {Number: "78123334455"}, {Number: "375291112233"}}

const (
	megaplanPassword = "sandbox-secret"
	demoLine         = "+74951234567"
	demoApplication  = "5b2f0c1e-0000-4000-8000-00000000ca11"
)

func newWorld() *world {
	mo := megaplantest.Options{Password: megaplanPassword, Seed: megaplantest.Seed{
		Programs:     []megaplantest.Program{{Name: "Продажи", States: []string{"Новая", "В работе", "Оплачено", "Отказ"}, Won: []string{"Оплачено"}, Lost: []string{"Отказ"}}},
		ClientFields: []megaplantest.Field{{Name: "Category183CustomFieldUtmSource", Label: "utm_source"}},
		Applications: []megaplantest.Application{{UUID: demoApplication, Name: "Callbridge"}},
	}}
	var users []retailcrmtest.User
	for _, c := range colleagues {
		mo.Seed.Employees = append(mo.Seed.Employees, megaplantest.Employee{FirstName: c.first, LastName: c.last, Email: c.email, Extension: c.extension})
		users = append(users, retailcrmtest.User{Email: c.email, First: c.first, Last: c.last, Extension: c.extension})
	}
	var customers []retailcrmtest.Customer
	for _, a := range acquaintances {
		if a.megaplan {
			mo.Seed.Clients = append(mo.Seed.Clients, megaplantest.Client{FirstName: a.first, LastName: a.last, Company: a.company,
				Phones: []string{a.phone}, Responsible: colleagues[a.owner].email})
		}
		if a.retailcrm {
			customers = append(customers, retailcrmtest.Customer{First: a.first, Last: a.last, Phones: []string{"+" + a.phone}, Manager: 11 + a.owner})
		}
	}
	return &world{megaplan: megaplantest.New(mo), retailcrm: retailcrmtest.New(retailcrmtest.DemoOptions(users, customers))}
}

func (w *world) callers() []arisim.Caller {
	out := append([]arisim.Caller(nil), strangers...)
	for _, a := range acquaintances {
		out = append(out, arisim.Caller{Number: a.phone, Name: a.last})
	}
	return out
}

// settings are what an admin of the invented company would have applied. The
// passwords of users are set by the caller.
func (w *world) settings(megaplanURL, retailURL string) bridge.Settings {
	yes, no := true, false
	minutes := 120
	s := bridge.Settings{
		Integrations: []bridge.Integration{{
			ID: "megaplan-main", Kind: "megaplan", Name: "Мегаплан", Active: true, DefaultResponsible: colleagues[0].email,
			Credentials: map[string]string{"url": megaplanURL, "username": "bot@example.ru", "password": megaplanPassword, "application": demoApplication},
			Calls: bridge.CallRules{
				Contact:              &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "last_talked"},
				Communications:       []bridge.CallRule{{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered, bridge.Missed}}, {Direction: bridge.Out, Outcome: []bridge.Outcome{bridge.Answered}}},
				CommunicationMinutes: &minutes,
				Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}},
					Responsible: "contact", Title: "Перезвонить: {{phone .Client.Phone}}", Due: bridge.Duration(4 * time.Hour)}},
				Processes: []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}, Known: &no},
					Responsible: "talked", AttachOpen: true}},
				PersonalManager: true,
			},
			ClickToCall: bridge.ClickToCall{Number: demoLine},
		}, {
			ID: "retailcrm-main", Kind: "retailcrm", Name: "retailCRM", Active: true, DefaultResponsible: colleagues[1].email,
			Credentials: map[string]string{"url": retailURL, "api_key": retailcrmtest.DefaultKey, "site": "shop"},
			Calls: bridge.CallRules{
				Contact: &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "first_talked"},
				Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}},
					Responsible: "default", Due: bridge.Duration(time.Hour)}},
				Processes: []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}, Known: &yes}, Responsible: "talked", AttachOpen: true}},
			},
		}},
		Lines: []bridge.Line{
			{Number: demoLine, Name: "Сайт", Source: map[string]string{"utm_source": "yandex", "utm_medium": "cpc"}},
			{Number: "+78005553535", Name: "Горячая линия"},
			{Number: "+74957654321", Name: "Отдел продаж (очередь)"},
			{Number: "+74957654322", Name: "Меню"},
		},
	}
	for _, c := range colleagues {
		s.Employees = append(s.Employees, bridge.Employee{Extension: c.extension, Email: c.email, Name: c.first + " " + c.last})
	}
	return s
}

// served is a sandbox CRM on a port of its own.
type served struct {
	title, url string
}

// serve opens both sandboxes on loopback; port 0 takes free ports. They stop
// with ctx.
func (w *world) serve(ctx context.Context, ports [2]int, wg *sync.WaitGroup) ([2]served, error) {
	var out [2]served
	for i, s := range []sandbox.Sandbox{w.megaplan, w.retailcrm} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports[i]))
		if err != nil {
			return out, fmt.Errorf("sandbox %s: %w", s.Title(), err)
		}
		out[i] = served{title: s.Title(), url: "http://" + l.Addr().String()}
		srv := &http.Server{Handler: sandbox.Handler(s), ReadHeaderTimeout: 10 * time.Second}
		wg.Go(func() {
			<-ctx.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if srv.Shutdown(stop) != nil {
				_ = srv.Close() // requests under way do not keep a sandbox alive
			}
		})
		wg.Go(func() { _ = srv.Serve(l) }) // ends with ErrServerClosed
	}
	return out, nil
}
