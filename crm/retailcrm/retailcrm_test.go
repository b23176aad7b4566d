package retailcrm

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/crmtest"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
)

func TestContract(t *testing.T) {
	rights := []string{"/api/settings", "/api/reference/sites"}
	for _, n := range needs {
		rights = append(rights, n.path)
	}
	for _, whole := range []bool{false, true} {
		name := "numbers match in part"
		if whole {
			name = "numbers match whole"
		}
		t.Run(name, func(t *testing.T) {
			crmtest.Run(t, crmtest.Setup{
				Driver: Driver,
				New:    func() crmtest.Fake { return retailcrmtest.New(retailcrmtest.Options{WholeNumbers: whole}) },
				Values: func(f crmtest.Fake, url string) setting.Values {
					return setting.Values{"url": url, "api_key": f.(*retailcrmtest.Fake).Key()}
				},
				Match: map[crmtest.Op]string{
					crmtest.Find: "GET /api/v5/customers", crmtest.Contact: "POST /api/v5/customers/create",
					crmtest.Call: "POST /api/v5/telephony/calls/upload", crmtest.Task: "POST /api/v5/tasks/create",
					crmtest.Deal: "POST /api/v5/orders/create", crmtest.Employees: "GET /api/v5/users",
					crmtest.Note: "POST /api/v5/customers/notes/create",
				},
				Rights:      rights,
				Responsible: "11",
			})
		})
	}
}

const client1 = bridge.Number("+79161234567")

// test gives a client of a fresh fake in virtual time.
func test(t *testing.T, opts retailcrmtest.Options, more setting.Values, run func(*testing.T, *retailcrmtest.Fake, *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := retailcrmtest.New(opts)
		v := setting.Values{"url": "https://shop.example.test/", "api_key": f.Key()}
		for k, s := range more {
			v[k] = s
		}
		if p := setting.Validate("", Driver.Fields, v); len(p) > 0 {
			t.Fatal(p)
		}
		c, err := Driver.Open(crm.Env{Integration: "shop", HTTP: &http.Client{Transport: sandbox.Transport(f)}, Country: "RU",
			Zone: time.FixedZone("Moscow", 3*3600), Log: slog.New(slog.DiscardHandler)}, v)
		if err != nil {
			t.Fatal(err)
		}
		run(t, f, c.(*client))
	})
}

func wantKind(t *testing.T, err error, k fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != k {
		t.Fatalf("%v, want %v", err, k)
	}
}

func TestKeyAndRightAndAddressAreToldApart(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		ctx := t.Context()
		f.Restrict("/api/customers")
		_, err := c.FindContacts(ctx, client1)
		wantKind(t, err, fault.Forbidden)
		if !strings.Contains(err.Error(), "find customers") {
			t.Errorf("the right is not named: %v", err)
		}
		f.Permit("/api/customers")
		f.Revoke()
		_, err = c.FindContacts(ctx, client1)
		wantKind(t, err, fault.Auth)
		f.SetKey(retailcrmtest.DefaultKey)
		if _, err = c.FindContacts(ctx, client1); err != nil {
			t.Fatal(err)
		}
		f.Close()
		_, err = c.FindContacts(ctx, client1)
		wantKind(t, err, fault.Auth)
		_, err = c.CreateContact(ctx, crm.Key{ID: "k"}, crm.NewContact{Name: "x"})
		wantKind(t, err, fault.Auth)
		if !strings.Contains(err.Error(), "url") {
			t.Errorf("the address is not named: %v", err)
		}
	})
}

func TestTooManyRequestsIs503WithAPage(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		f.SetFault(sandbox.Busy, true)
		_, err := c.CreateContact(t.Context(), crm.Key{ID: "k"}, crm.NewContact{Name: "x"})
		wantKind(t, err, fault.RateLimited)
		if fault.After(err) <= 0 {
			t.Error("no wait")
		}
	})
}

func TestOurRateStaysUnderTheirs(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		began := time.Now()
		for range 100 {
			if _, err := c.FindContacts(t.Context(), "+441632960961"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 13*time.Second {
			t.Errorf("100 requests took %v; the limit allows 10 s, a fifth more is kept back for cards and routing", took)
		}
	})
}

func TestSearchReadsAllPagesAndComparesNumbers(t *testing.T) {
	var many []retailcrmtest.Customer
	for range 130 {
		many = append(many, retailcrmtest.Customer{First: "Похожий", Phones: []string{"+791612345670"}})
	}
	many = append(many[:0:0], append([]retailcrmtest.Customer{{First: "Нужный", Phones: []string{"8 (916) 123-45-67"}}}, many...)...)
	test(t, retailcrmtest.Options{Customers: many}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		got, err := c.FindContacts(t.Context(), client1)
		if err != nil || len(got) != 1 || got[0].Name != "Нужный" || got[0].URL != "https://shop.example.test/customers/1" {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func TestCallsInTheAccountsTimeAndWords(t *testing.T) {
	test(t, retailcrmtest.Options{Sites: []string{"shop", "second"}}, setting.Values{"site": "second"}, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		r := crmtest.Record(client1, "", "11")
		r.RecordURL = "https://calls.example.test/r/1"
		if _, err := c.LogCall(t.Context(), crm.Key{ID: "callbridge:1:call"}, r); err != nil {
			t.Fatal(err)
		}
		r.Call.Outcome, r.Call.Reason, r.Call.TalkMS = bridge.Missed, bridge.NoAnswer, nil
		r.Agent = crm.Person{Extension: "999"} // unknown to the CRM: refused at first, then without it
		made, err := c.LogCall(t.Context(), crm.Key{ID: "callbridge:2:call"}, r)
		if err != nil || made.Found {
			t.Fatal(made, err)
		}
		var got []sandbox.Object
		for _, o := range f.Objects() {
			if o.Kind == "call" {
				got = append(got, o)
			}
		}
		want := map[string]string{"date": "2026-03-02 12:30:00", "phone": "79161234567", "externalPhone": "74951234567", "result": "answered",
			"duration": "61", "durationWaiting": "4", "userId": "11", "site": "second", "type": "in",
			"source": `{"medium":"cpc","source":"yandex"}`, "recordUrl": r.RecordURL, "code": ""}
		for k, v := range want {
			if got[0].Value(k) != v {
				t.Errorf("%s is %q, want %q", k, got[0].Value(k), v)
			}
		}
		if got[1].Value("result") != "no answer" || got[1].Value("code") != "" {
			t.Errorf("%+v", got[1])
		}
	})
}

func TestEveryReasonHasAWordBothMethodsTake(t *testing.T) {
	test(t, retailcrmtest.Options{Unlimited: true}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		for _, reason := range append(bridge.Reasons(), "") {
			for _, outcome := range []bridge.Outcome{bridge.Answered, bridge.Missed, bridge.Failed} {
				r := crmtest.Record(client1, "", "11")
				r.Call.Reason, r.Call.Outcome, r.Call.ID = reason, outcome, string(reason)+string(outcome)
				if _, err := c.Popup(t.Context(), crm.Key{}, bridge.OnEnd, r); err != nil {
					t.Errorf("%s %s: %v", outcome, reason, err)
				}
				if _, err := c.LogCall(t.Context(), crm.Key{ID: r.Call.ID}, r); err != nil {
					t.Errorf("%s %s: %v", outcome, reason, err)
				}
			}
		}
	})
}

func TestPopupFollowsTheRingingPhones(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		r := crmtest.Record(client1, "", "11")
		r.People = []crm.Person{{Extension: "101", User: "11"}, {Extension: "102", User: "12"}, {Extension: "777"}}
		for _, phase := range []bridge.Trigger{bridge.OnRing, bridge.OnAnswer, bridge.OnEnd} {
			if _, err := c.Popup(t.Context(), crm.Key{ID: "x:" + string(phase)}, phase, r); err != nil {
				t.Fatal(err)
			}
		}
		ev := f.Events()
		if len(ev) != 3 || ev[0].Type != "in" || ev[1].Type != "in" || ev[2].Type != "hangup" {
			t.Fatalf("%+v", ev)
		}
		for _, e := range ev[:2] {
			if !reflect.DeepEqual(e.Codes, []string{"101"}) || !reflect.DeepEqual(e.UserIDs, []int{11}) {
				t.Errorf("%s: %+v", e.Type, e)
			}
		}
		if !reflect.DeepEqual(ev[2].Codes, []string{"101", "102", "777"}) || !reflect.DeepEqual(ev[2].UserIDs, []int{11, 12}) || ev[2].HangupStatus != "answered" {
			t.Errorf("end: %+v", ev[2])
		}
		for _, e := range ev {
			if e.CallExternalID != "callbridge:"+r.Call.ID+":call" {
				t.Errorf("call id %q differs from the history's", e.CallExternalID)
			}
		}
	})
}

func TestWithheldNumberIsNoFailure(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		r := crmtest.Record("", "", "11")
		_, err := c.LogCall(t.Context(), crm.Key{ID: "k"}, r)
		if _, ok := errors.AsType[*crm.NotKept](err); !ok {
			t.Errorf("a call without a number: %v", err)
		}
		_, err = c.Popup(t.Context(), crm.Key{ID: "k"}, bridge.OnRing, r)
		wantKind(t, err, fault.Invalid)
		if n := len(f.RequestLog()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestPersonalManager(t *testing.T) {
	opts := retailcrmtest.Options{Customers: []retailcrmtest.Customer{
		{First: "Старый", Phones: []string{"89161234567"}, Manager: 12}, {First: "Ничей", Phones: []string{"+79030000001"}}}}
	ask := func(t *testing.T, c *client, n bridge.Number) crm.Manager {
		t.Helper()
		m, err := c.PersonalManager(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	test(t, opts, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		if m := ask(t, c, client1); m.User != "12" || m.Extension != "102" || m.Name != "Ольга Смирнова" || m.Contact == nil || m.Contact.ID != "1" {
			t.Errorf("%+v", m)
		}
		if m := ask(t, c, "+79030000001"); m.User != "" || m.Contact == nil {
			t.Errorf("nobody's client: %+v", m)
		}
		if m := ask(t, c, "+79039999999"); !reflect.DeepEqual(m, crm.Manager{}) {
			t.Errorf("unknown client: %+v", m)
		}
		f.Restrict("/api/telephony/manager")
		if m := ask(t, c, client1); m.User != "12" {
			t.Errorf("from the card: %+v", m)
		}
	})
	test(t, opts, setting.Values{"manager_status": "free"}, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		f.SetUserStatus(12, "dinner", true)
		if m := ask(t, c, client1); m.User != "" {
			t.Errorf("at dinner: %+v", m)
		}
	})
}

func TestD09UsersWithoutNamesAndMail(t *testing.T) {
	opts := retailcrmtest.Options{Users: []retailcrmtest.User{{First: "Анна"}, {Email: "b@example.ru", Dismissed: true}, {}}}
	test(t, opts, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		all, err := c.Employees(t.Context())
		if err != nil || len(all) != 3 || all[0].Name != "Анна" || all[1].Active || all[2].Name != "" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestD07AnswerWithoutAListIsNoEmptyList(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		f.FailNext(-1, "/users", sandbox.Fault{Status: 200, Body: `{"success":true}`})
		_, err := c.Employees(t.Context())
		wantKind(t, err, fault.Temporary)
		f.ClearFaults()
		f.FailNext(-1, "/customers", sandbox.Fault{Status: 200, Body: `{"success":true,"customers":null}`})
		_, err = c.FindContacts(t.Context(), client1)
		wantKind(t, err, fault.Temporary)
	})
}

func TestFieldsGoWhereTheyBelong(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		ctx := t.Context()
		id := f.SeedContact("Клиент", "+79161234567")
		err := c.UpdateContact(ctx, id, map[string]string{"email": "a@example.ru", "vip": "да", "utm_source": "yandex", "utm_term": "насос",
			"roistat": "17", "customFields.city": "Тверь"})
		if err != nil {
			t.Fatal(err)
		}
		got := find(f, "contact", string(id))
		want := map[string]string{"email": "a@example.ru", "vip": "true", "source": `{"keyword":"насос","source":"yandex"}`,
			"customFields": `{"city":"Тверь","roistat":"17"}`, "firstName": "Клиент"}
		for k, v := range want {
			if got.Value(k) != v {
				t.Errorf("%s is %q, want %q", k, got.Value(k), v)
			}
		}
		wantKind(t, c.UpdateContact(ctx, id, map[string]string{"managerId": "Иван"}), fault.Invalid)
		wantKind(t, c.UpdateContact(ctx, "4040", map[string]string{"email": "x@example.ru"}), fault.Gone)
	})
}

func find(f *retailcrmtest.Fake, kind, id string) sandbox.Object {
	for _, o := range f.Objects() {
		if o.Kind == kind && o.ID == id {
			return o
		}
	}
	return sandbox.Object{}
}

func TestClientDeletedMeanwhileIsGone(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		id := f.SeedContact("Клиент", "+79161234567")
		f.DeleteCustomer(id)
		_, err := c.CreateTask(t.Context(), crm.Key{ID: "k1"}, crm.NewTask{Title: "x", Responsible: "11", Contact: id})
		wantKind(t, err, fault.Gone)
		_, err = c.CreateDeal(t.Context(), crm.Key{ID: "k2"}, crm.NewDeal{Title: "x", Contact: id})
		wantKind(t, err, fault.Gone)
	})
}

func TestTwoMissedCallsOfOneClientAreTwoTasks(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		id := f.SeedContact("Клиент", "+79161234567")
		task := crm.NewTask{Title: "Перезвонить", Text: "Пропущенный", Responsible: "11", Contact: id,
			Due: time.Date(2026, 3, 2, 13, 30, 5, 0, time.UTC)}
		if _, err := c.CreateTask(t.Context(), crm.Key{ID: "callbridge:1:task"}, task); err != nil {
			t.Fatal(err)
		}
		// The second call's task is only looked for by its own key.
		f.FailNext(1, "POST /api/v5/tasks/create", sandbox.Fault{Drop: true})
		_, err := c.CreateTask(t.Context(), crm.Key{ID: "callbridge:2:task"}, task)
		wantKind(t, err, fault.Uncertain)
		made, err := c.CreateTask(t.Context(), crm.Key{ID: "callbridge:2:task", Look: true}, task)
		if err != nil || made.Found {
			t.Fatal(made, err)
		}
		if n := sandbox.Count(f, "task"); n != 2 {
			t.Errorf("%d tasks", n)
		}
		if got := find(f, "task", string(made.ID)).Value("datetime"); got != "2026-03-02 16:30" {
			t.Errorf("due %q", got)
		}
	})
}

func TestOrders(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		ctx := t.Context()
		id := f.SeedContact("Клиент", "+79161234567")
		r := crmtest.Record(client1, id, "11")
		r.Call.Outcome, r.Call.Reason = bridge.Missed, bridge.NoAnswer
		key := crm.Key{ID: "callbridge:1:process"}
		made, err := c.CreateDeal(ctx, key, crm.NewDeal{Title: "Звонок", Pipeline: "eshop-legal", Responsible: "12", Contact: id,
			ContactName: "Клиент", Phone: client1, Record: &r})
		if err != nil {
			t.Fatal(err)
		}
		o := find(f, "deal", string(made.ID))
		for k, v := range map[string]string{"orderMethod": "missed-call", "orderType": "eshop-legal", "managerId": "12", "status": "new",
			"externalId": key.ID, "phone": "79161234567"} {
			if o.Value(k) != v {
				t.Errorf("%s is %q, want %q", k, o.Value(k), v)
			}
		}
		// The CRM keeps the key unique, so even without a look there is one.
		again, err := c.CreateDeal(ctx, key, crm.NewDeal{Title: "Звонок", Contact: id})
		if err != nil || !again.Found || again.ID != made.ID {
			t.Errorf("%+v, %v", again, err)
		}
		closed, err := c.CreateDeal(ctx, crm.Key{ID: "callbridge:2:process"}, crm.NewDeal{Contact: id, Fields: map[string]string{"status": "complete"}})
		if err != nil {
			t.Fatal(err)
		}
		open, err := c.OpenDeals(ctx, id)
		if err != nil || len(open) != 1 || open[0].ID != made.ID || open[0].Pipeline != "eshop-legal" || open[0].Responsible != "12" {
			t.Errorf("open: %+v, %v; %s is closed", open, err, closed.ID)
		}
	})
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	wrong := func(t *testing.T, c *client) string {
		t.Helper()
		r, err := c.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, l := range r.Lines {
			if !l.OK {
				out = append(out, l.What+": "+l.Help)
			}
		}
		return strings.Join(out, "\n")
	}
	two := retailcrmtest.Options{Sites: []string{"first", "second"}}
	test(t, two, nil, func(t *testing.T, _ *retailcrmtest.Fake, c *client) {
		if got := wrong(t, c); !strings.HasPrefix(got, "shop:") || !strings.Contains(got, "first, second") {
			t.Error(got)
		}
	})
	test(t, two, setting.Values{"site": "third"}, func(t *testing.T, _ *retailcrmtest.Fake, c *client) {
		if got := wrong(t, c); !strings.Contains(got, `"third"`) {
			t.Error(got)
		}
	})
	test(t, retailcrmtest.Options{Zone: "Asia/Yekaterinburg"}, setting.Values{"admin_email": "nobody@example.ru"}, func(t *testing.T, _ *retailcrmtest.Fake, c *client) {
		got := wrong(t, c)
		if !strings.Contains(got, "administrator's e-mail") {
			t.Error(got)
		}
		if _, err := time.LoadLocation("Asia/Yekaterinburg"); err == nil && !strings.Contains(got, "time_zone: Asia/Yekaterinburg") {
			t.Error(got)
		}
	})
}

func TestTraceIsForTheLedger(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		tr := &crm.Trace{}
		ctx := crm.WithTrace(context.Background(), tr)
		if _, err := c.CreateContact(ctx, crm.Key{ID: "callbridge:1:contact"}, crm.NewContact{Name: "Пётр", Phone: client1}); err != nil {
			t.Fatal(err)
		}
		all := tr.Exchanges()
		if len(all) != 1 || all[0].Op != "create customer" || all[0].Status != 201 || all[0].Path != "/api/v5/customers/create" ||
			!strings.Contains(all[0].Request, "Пётр") || strings.Contains(all[0].Request, "79161234567") || !strings.Contains(all[0].Response, "success") {
			t.Errorf("%+v", all)
		}
	})
}
