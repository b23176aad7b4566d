package megaplan_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

func with(more func(*megaplantest.Seed)) func() *megaplantest.Server {
	return func() *megaplantest.Server {
		s := seed
		more(&s)
		return megaplantest.New(megaplantest.Options{Username: login, Password: password, Seed: s})
	}
}

func TestQueryIsOneJSONObject(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		q := r.queries("/callRoute")
		if len(q) != 1 || q[0]["phone"] != "79161234567" {
			t.Errorf("callRoute was asked %v, want figures without a plus", q)
		}
	})
}

func TestD07EmployeesOverManyPages(t *testing.T) {
	many := with(func(s *megaplantest.Seed) {
		for i := range 250 {
			s.Employees = append(s.Employees, megaplantest.Employee{FirstName: fmt.Sprint("N", i), Email: fmt.Sprintf("n%d@example.ru", i)})
		}
	})
	bubble(t, many, nil, func(t *testing.T, r *rig) {
		all := must[[]crm.Employee](t)(r.Employees(r.ctx()))
		if len(all) != 254 || r.count("GET /employee") != 3 {
			t.Errorf("%d employees with %d requests, want 254 with 3", len(all), r.count("GET /employee"))
		}
	})
}

func TestD08D09EmployeesWithoutNumbersAndNames(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		got := must[[]crm.Employee](t)(r.Employees(r.ctx()))
		want := []crm.Employee{
			{User: ivan, Email: "ivan@example.ru", Name: "Петров Иван", Extension: "101", Active: true},
			{User: anna, Email: "Anna@Example.ru", Name: "Белова Анна", Extension: "103", Active: true},
			{User: "1000003", Name: "Без", Active: true},
			{User: "1000004", Email: "gone@example.ru", Name: "Работник Бывший"},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		r.f.Change(func(q *megaplantest.Quirks) {
			q.HiddenFields = []string{"contactInfo", "isWorking", "lastName", "firstName", "name", "internalNumber"}
		})
		for _, e := range must[[]crm.Employee](t)(r.Employees(r.ctx())) {
			if e.Extension != "" || e.Email != "" || !e.Active {
				t.Errorf("from nothing came %+v", e)
			}
		}
	})
}

func TestMissingTelephonyRightIsNoEmptyMap(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.f.Restrict("callUserConfig")
		_, err := r.Employees(r.ctx())
		wantKind(t, err, fault.Forbidden)
	})
}

func TestFirstOccurrenceIsFullLaterOnesAreFilledIn(t *testing.T) {
	two := with(func(s *megaplantest.Seed) {
		for _, name := range []string{"Первый", "Второй"} {
			s.Clients = append(s.Clients, megaplantest.Client{FirstName: name, Phones: []string{"89161234567"}, Responsible: "ivan@example.ru"})
		}
	})
	for _, bare := range []bool{false, true} {
		bubble(t, two, nil, func(t *testing.T, r *rig) {
			r.f.Change(func(q *megaplantest.Quirks) { q.BareLinks = bare })
			found := must[[]crm.Contact](t)(r.FindContacts(r.ctx(), number))
			if len(found) != 2 {
				t.Fatalf("found %+v", found)
			}
			for _, c := range found {
				if c.Responsible != ivan || !bare && c.Manager != "Петров Иван" || c.Phones[0] != number {
					t.Errorf("bare %v: %+v", bare, c)
				}
				if c.URL != "https://mp000000.megaplan.example/crm/"+string(c.ID)+"/card/" {
					t.Errorf("address %s", c.URL)
				}
			}
		})
	}
}

func TestFindsCompaniesToo(t *testing.T) {
	f := with(func(s *megaplantest.Seed) {
		s.Clients = []megaplantest.Client{{Company: "ООО Окна", Phones: []string{"8 (916) 123-45-67"}}}
	})
	bubble(t, f, nil, func(t *testing.T, r *rig) {
		found := must[[]crm.Contact](t)(r.FindContacts(r.ctx(), number))
		if len(found) != 1 || found[0].Kind != "company" || found[0].Company != "ООО Окна" {
			t.Fatalf("found %+v", found)
		}
		if err := r.UpdateContact(r.ctx(), found[0].ID, map[string]string{"name": "ООО Двери"}); err != nil {
			t.Fatal(err)
		}
		if n := r.f.Objects()[0].Title; n != "ООО Двери" {
			t.Errorf("name %q", n)
		}
	})
}

func TestQuickSearchAsksOnce(t *testing.T) {
	bubble(t, fake, setting.Values{"search": "quick"}, func(t *testing.T, r *rig) {
		r.f.SeedContact("Клиент", "+79161234567")
		found := must[[]crm.Contact](t)(r.FindContacts(r.ctx(), number))
		if len(found) != 1 || len(r.f.Requests()) != 1 {
			t.Errorf("found %+v with %v", found, r.f.Requests())
		}
	})
}

func TestUnknownDuplicatesRouteIsNoError(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		want := r.f.SeedContact("Клиент", "+79161234567")
		r.f.FailNext(-1, "/possibleDuplicates", sandbox.Fault{Status: 422, Body: `{"meta":{"status":422,"errors":["odd",{"field":null,"message":7}]},"data":null}`})
		found := must[[]crm.Contact](t)(r.FindContacts(r.ctx(), number))
		if len(found) != 1 || found[0].ID != want {
			t.Errorf("found %+v", found)
		}
	})
}

func TestStatusInsideTheEnvelopeCounts(t *testing.T) {
	for status, want := range map[int]fault.Kind{401: fault.Auth, 403: fault.Forbidden, 422: fault.Invalid, 429: fault.RateLimited, 500: fault.Temporary} {
		bubble(t, fake, nil, func(t *testing.T, r *rig) {
			r.f.FailNext(-1, "GET /api/v3/employee", sandbox.Fault{Status: 200, Body: fmt.Sprintf(`{"meta":{"status":%d,"errors":[{"message":"no"}]},"data":[]}`, status)})
			_, err := r.Employees(r.ctx())
			wantKind(t, err, want)
		})
	}
}

func TestWrongAddressIsTemporaryAndSaysSo(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.f.FailNext(-1, "POST /api/v3/callInfo/history", sandbox.Fault{Status: 404, Body: `{"meta":{"status":404}}`})
		_, err := r.LogCall(r.ctx(), key("call"), record(bridge.Answered, "101", ivan, "101"))
		wantKind(t, err, fault.Temporary)
		if !strings.Contains(err.Error(), "check the address") {
			t.Errorf("error %v", err)
		}
	})
}

var withFields = with(func(s *megaplantest.Seed) {
	s.ClientFields = []megaplantest.Field{
		{Name: "Category183CustomFieldUtmSource", Label: "utm_source"},
		{Name: "Category183CustomFieldDate", Label: "Дата", Kind: "DateField"},
		{Name: "Category183CustomFieldBig", Label: "Крупный", Kind: "BoolField"},
		{Name: "Category183CustomFieldKind", Label: "Вид", Kind: "EnumField", Enum: []string{"Опт", "Розница"}},
		{Name: "Category183CustomFieldSum", Label: "Сумма", Kind: "FloatField"},
	}
})

func TestCustomFieldsByLabelWithTheirTypes(t *testing.T) {
	bubble(t, withFields, nil, func(t *testing.T, r *rig) {
		_, err := r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Phone: number, Responsible: ivan, Note: "a < b\nвторая",
			Source: map[string]string{"utm_medium": "cpc&x"},
			Fields: map[string]string{"utm_source": "ya<ndex", "Дата": "2026-03-05", "крупный": "да", "Вид": "опт", "Category183CustomFieldSum": "12,5", "нет такого": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		o := r.one("contact")
		r.wantField(o, "phone", "79161234567")
		r.wantField(o, "responsible", "Петров Иван")
		r.wantField(o, "utm_source", "ya&lt;ndex")
		r.wantField(o, "Крупный", "true")
		r.wantField(o, "Вид", "Опт")
		r.wantField(o, "Сумма", "12.5")
		r.wantField(o, "text", "<p>a &lt; b<br>вторая</p><p>utm_medium: cpc&amp;x</p><p>[callbridge:"+callID+":contact]</p>")
		if !strings.Contains(o.Value("Дата"), "day:5 month:2 year:2026") {
			t.Errorf("months count from 0: %s", o.Value("Дата"))
		}
		if o.Title != "79161234567" {
			t.Errorf("name %q, want the number", o.Title)
		}
	})
}

func TestRefusedFieldsDoNotLoseTheContact(t *testing.T) {
	bubble(t, withFields, nil, func(t *testing.T, r *rig) {
		r.f.FailNext(1, "POST /api/v3/contractorHuman", sandbox.Fault{Status: 422, Body: `{"meta":{"status":422,"errors":[{"field":"Category183CustomFieldUtmSource","message":"no"}]}}`})
		_, err := r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Phone: number, Fields: map[string]string{"utm_source": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		r.wantField(r.one("contact"), "utm_source", "")
	})
}

func TestRequiredFieldOfTheAccountIsExplained(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.f.Change(func(q *megaplantest.Quirks) { q.RequiredClient = []string{"email"} })
		_, err := r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Phone: number})
		wantKind(t, err, fault.Invalid)
		if !strings.Contains(err.Error(), "email") || !strings.Contains(err.Error(), "optional") {
			t.Errorf("error %v", err)
		}
	})
}

func TestContactInfoIsReplacedAsAWholeSoItIsCompleted(t *testing.T) {
	bubble(t, withFields, nil, func(t *testing.T, r *rig) {
		id := r.f.SeedContact("Клиент", "+79161234567", "+79030000000")
		for range 2 {
			err := r.UpdateContact(r.ctx(), id, map[string]string{"email": "a@example.ru", "phone": "8 916 123 45 67", "utm_source": "x", "position": "директор"})
			if err != nil {
				t.Fatal(err)
			}
		}
		o := r.f.Objects()[0]
		r.wantField(o, "phone", "79161234567, 79030000000")
		r.wantField(o, "email", "a@example.ru")
		r.wantField(o, "utm_source", "x")
		for _, b := range r.bodies("POST /contractorHuman/" + string(id)) {
			if m := b.(map[string]any); m["id"] != string(id) || m["contentType"] != "ContractorHuman" {
				t.Errorf("a change without its id in the body: %v", m)
			}
		}
	})
}

func TestUpdateOfUnknownFieldAndOfDeletedClient(t *testing.T) {
	bubble(t, withFields, nil, func(t *testing.T, r *rig) {
		id := r.f.SeedContact("Клиент", "+79161234567")
		err := r.UpdateContact(r.ctx(), id, map[string]string{"нет такого": "x"})
		wantKind(t, err, fault.Invalid)
		r.f.DeleteClient(string(id))
		wantKind(t, r.UpdateContact(r.ctx(), id, map[string]string{"utm_source": "x"}), fault.Gone)
	})
}

func TestDescriptionKeepsOurKey(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		c := must[crm.Contact](t)(r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Phone: number}))
		if err := r.UpdateContact(r.ctx(), c.ID, map[string]string{"description": "новое"}); err != nil {
			t.Fatal(err)
		}
		got := must[crm.Contact](t)(r.CreateContact(r.ctx(), again("contact"), crm.NewContact{Phone: number}))
		if got.ID != c.ID {
			t.Errorf("made %s, though %s was there", got.ID, c.ID)
		}
	})
}

func TestContactWithoutNumberIsFoundByItsKey(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		n := crm.NewContact{Name: "Посетитель сайта"}
		first := must[crm.Contact](t)(r.CreateContact(r.ctx(), again("contact"), n))
		second := must[crm.Contact](t)(r.CreateContact(r.ctx(), again("contact"), n))
		if first.ID != second.ID {
			t.Errorf("made %s and %s", first.ID, second.ID)
		}
	})
}

func TestDeletedClientIsGone(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		id := r.f.SeedContact("Клиент", "+79161234567")
		r.f.DeleteClient(string(id))
		rec := record(bridge.Answered, "101", ivan, "101")
		rec.Contact, rec.Kind = id, "person"
		_, err := r.LogCall(r.ctx(), key("call"), rec)
		wantKind(t, err, fault.Gone)
		_, err = r.CreateCommunication(r.ctx(), key("communication"), rec, ivan)
		wantKind(t, err, fault.Gone)
		_, err = r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Contact: id, ContactKind: "person"})
		wantKind(t, err, fault.Gone)
		_, err = r.Popup(r.ctx(), key("popup"), bridge.OnRing, rec)
		wantKind(t, err, fault.Gone)
		_, err = r.OpenDeals(r.ctx(), id)
		wantKind(t, err, fault.Gone)
	})
}

func TestPersonalManager(t *testing.T) {
	f := with(func(s *megaplantest.Seed) {
		s.Clients = []megaplantest.Client{{FirstName: "Пётр", Phones: []string{"79161234567"}, Responsible: "anna@example.ru"},
			{FirstName: "Ничей", Phones: []string{"79030000000"}}}
	})
	for _, old := range []bool{false, true} {
		bubble(t, f, nil, func(t *testing.T, r *rig) {
			r.f.Change(func(q *megaplantest.Quirks) { q.RouteObject = old })
			m := must[crm.Manager](t)(r.PersonalManager(r.ctx(), number))
			if m.User != anna || m.Extension != "103" || m.Name != "Белова Анна" || m.Contact == nil || m.Contact.Name != "Пётр" {
				t.Errorf("manager %+v", m)
			}
			m = must[crm.Manager](t)(r.PersonalManager(r.ctx(), "+79030000000"))
			if m.User != "" || m.Extension != "" || m.Contact == nil {
				t.Errorf("a client without manager gave %+v", m)
			}
			m = must[crm.Manager](t)(r.PersonalManager(r.ctx(), "+79990000000"))
			if m != (crm.Manager{}) {
				t.Errorf("an unknown number gave %+v", m)
			}
			if n := r.count("GET /callUserConfig"); n != 1 {
				t.Errorf("the extensions were read %d times", n)
			}
		})
	}
	bubble(t, f, nil, func(t *testing.T, r *rig) {
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.f.FailNext(-1, "/callRoute", sandbox.Fault{Hang: true})
		began := time.Now()
		_, err := r.PersonalManager(context.Background(), number)
		if took := time.Since(began); err == nil || took > 1500*time.Millisecond {
			t.Errorf("a hanging Megaplan held the call for %v (%v)", took, err)
		}
	})
}

// M-4.1.1, D-03: the personal manager is replaced, whoever else is responsible stays.
func TestM411ChangeOwnerReplacesTheManagerOnly(t *testing.T) {
	f := with(func(s *megaplantest.Seed) {
		s.Clients = []megaplantest.Client{{FirstName: "Пётр", Phones: []string{"79161234567"}, Responsible: "anna@example.ru"},
			{Company: "ООО Окна", Phones: []string{"79030000000"}}}
	})
	bubble(t, f, nil, func(t *testing.T, r *rig) {
		for n, name := range map[bridge.Number]string{number: "Пётр", "+79030000000": "ООО Окна"} {
			found := must[[]crm.Contact](t)(r.FindContacts(r.ctx(), n))
			if len(found) != 1 {
				t.Fatalf("found %+v", found)
			}
			changer := r.adapter.(crm.OwnerChanger)
			if err := changer.ChangeOwner(r.ctx(), found[0], ivan); err != nil {
				t.Fatal(err)
			}
			again := must[[]crm.Contact](t)(r.FindContacts(r.ctx(), n))
			if len(again) != 1 || again[0].Responsible != ivan || again[0].Name != name {
				t.Errorf("now %+v", again)
			}
		}
		wantKind(t, r.adapter.(crm.OwnerChanger).ChangeOwner(r.ctx(), crm.Contact{ID: "999999"}, ivan), fault.Gone)
	})
}
