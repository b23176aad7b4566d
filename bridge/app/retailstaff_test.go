package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/web"
	"callbridge/crm/retailcrm/retailcrmtest"
)

// openOffice is a firm with more people: 101 has his e-mail in retailCRM, 102
// only her name, 103 nothing.
func openOffice(t *testing.T) *firm {
	f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) {
		s.Employees = append(s.Employees, bridge.Employee{Extension: "102", Email: "office2@example.ru", Name: "Семёнова Ольга"},
			bridge.Employee{Extension: "103", Email: "office3@example.ru", Name: "Третий"},
			bridge.Employee{Extension: "104", Email: "chief@example.ru", Name: "Анна Белова"})
	})
	f.retail.AddUser(retailcrmtest.User{ID: 12, Email: "olga@portal.example.ru", First: "Ольга", Last: "Семенова"})
	f.retail.AddUser(retailcrmtest.User{ID: 13, Email: "gone@portal.example.ru", First: "Пётр", Last: "Уволенный", Dismissed: true})
	f.retail.AddUser(retailcrmtest.User{ID: 14, Email: "chief@example.ru", First: "Анна", Last: "Белова", Admin: true, NoManager: true})
	f.retail.AddUser(retailcrmtest.User{ID: 15, First: "Без", Last: "Почты"})
	if _, _, err := f.SyncStaff(t.Context(), rc); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *firm) staffOf(id string) web.Staff {
	f.t.Helper()
	s, err := f.Staff(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func personOf(t *testing.T, s web.Staff, user string) web.Person {
	t.Helper()
	i := slices.IndexFunc(s.People, func(p web.Person) bool { return p.User == user })
	if i < 0 {
		t.Fatalf("no user %s in %+v", user, s.People)
	}
	return s.People[i]
}

// TestR7OnlyActiveManagersAreOffered: the group "Менеджеры", without the
// dismissed; suggestions by e-mail first, by name where that is clear.
func TestR7OnlyActiveManagersAreOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOffice(t)
		defer f.close()
		s := f.staffOf(rc)
		if s.Group != "Менеджеры" || !s.Linkable {
			t.Errorf("group %q, linkable %v", s.Group, s.Linkable)
		}
		for user, want := range map[string]web.Person{
			"11": {Offered: true, Suggested: "101", SuggestedBy: "email", Ours: "101"},
			"12": {Offered: true, Suggested: "102", SuggestedBy: "name"},
			"13": {}, "14": {Ours: "104"}, "15": {Offered: true},
		} {
			p := personOf(t, s, user)
			if p.Offered != want.Offered || p.Suggested != want.Suggested || p.SuggestedBy != want.SuggestedBy || p.Ours != want.Ours {
				t.Errorf("user %s: %+v, want %+v", user, p, want)
			}
		}
		// One who is no manager is not joined by his e-mail either, and the page says so.
		if _, joined := f.targetOf(rc).ByExtension("104"); joined {
			t.Error("104 is joined to one who is no manager")
		}
		if all := strings.Join(s.Issues, "\n"); !strings.Contains(all, "chief@example.ru is not in the CRM's group Менеджеры") {
			t.Errorf("issues: %s", all)
		}
	})
}

// TestR8R9LinkedOneToOneAndSenior: the admin's joins are settings, hold against
// e-mails and over new lists; the senior manager gets what nobody else gets.
func TestR8R9LinkedOneToOneAndSenior(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOffice(t)
		defer f.close()
		ctx := t.Context()
		if err := f.LinkStaff(ctx, "anna", rc, map[string]string{"12": "102", "11": "103"}, "12"); err != nil {
			t.Fatal(err)
		}
		f.settle(5 * time.Second)
		s := f.staffOf(rc)
		if p := personOf(t, s, "12"); p.Linked != "102" || p.Extension != "102" {
			t.Errorf("%+v", p)
		}
		if p := personOf(t, s, "11"); p.Linked != "103" || p.Suggested != "" {
			t.Errorf("%+v", p)
		}
		if e, ok := f.targetOf(rc).ByExtension("101"); ok {
			t.Errorf("101 is joined to %+v, who has 103 by hand", e)
		}
		if all := strings.Join(s.Issues, "\n"); !strings.Contains(all, "extension 101: user 11 of the CRM has the e-mail ivan@example.ru, but is joined to extension 103 by hand") {
			t.Errorf("issues: %s", all)
		}
		now, _, err := f.db.Settings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		text, err := config.ExportSettings(now, Credentials())
		if err != nil || !strings.Contains(string(text), "user: \"12\"") || !strings.Contains(string(text), "default_responsible: olga@portal.example.ru") {
			t.Errorf("the text form lacks it: %v\n%s", err, text)
		}
		for name, tc := range map[string]struct {
			links map[string]string
			code  string
		}{
			"taken extension": {map[string]string{"15": "102"}, "employee_conflict"},
			"no manager":      {map[string]string{"14": "101"}, "unknown_user"},
			"dismissed":       {map[string]string{"13": "101"}, "unknown_user"},
			"nobody's phone":  {map[string]string{"15": "999"}, "employee_conflict"},
		} {
			err := f.LinkStaff(ctx, "anna", rc, tc.links, "")
			if r, ok := err.(*web.Refused); !ok || r.Code != tc.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := f.LinkStaff(ctx, "anna", rc, nil, "15"); err == nil {
			t.Error("one without an e-mail became senior manager")
		}
		// Nobody talked: the task is the senior manager's.
		f.call("+79160000001")
		f.call("+79160000002")
		f.settle(time.Minute)
		var tasks int
		for _, o := range f.retail.Objects() {
			if o.Kind == "task" {
				if tasks++; o.Value("performer") != "12" {
					t.Errorf("task %+v", o.Fields)
				}
			}
		}
		if tasks != 1 {
			t.Errorf("%d tasks, want that of the missed call", tasks)
		}
		// Undone, the e-mail joins him again.
		if err := f.LinkStaff(ctx, "anna", rc, map[string]string{"11": ""}, ""); err != nil {
			t.Fatal(err)
		}
		f.settle(5 * time.Second)
		if e, ok := f.targetOf(rc).ByExtension("101"); !ok || e.User != "11" {
			t.Errorf("101 is %+v", e)
		}
	})
}

// TestEmployeesEveryTwoHours: the list is read at the start and every two hours
// (M-2.2.5), what changed is listed, and the portal gets the new extensions.
func TestEmployeesEveryTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOffice(t)
		defer f.close()
		if err := f.LinkStaff(t.Context(), "anna", rc, map[string]string{"12": "102"}, ""); err != nil {
			t.Fatal(err)
		}
		f.settle(5 * time.Second)
		f.retail.ClearLog()
		f.retail.ChangeUser(11, func(u *retailcrmtest.User) { u.Email = "i.petrov@example.ru" })
		f.retail.ChangeUser(12, func(u *retailcrmtest.User) { u.NoManager = true })
		f.retail.AddUser(retailcrmtest.User{ID: 16, Email: "office3@example.ru", First: "Новый", Last: "Третий"})
		f.settle(2*time.Hour - 30*time.Second)
		if n := f.listed(); n != 0 {
			t.Errorf("the list was read %d times within two hours", n)
		}
		if len(f.staffOf(rc).Changes) != 1 { // of openOffice
			t.Errorf("%+v", f.staffOf(rc).Changes)
		}
		f.settle(time.Minute)
		if n := f.listed(); n != 1 {
			t.Errorf("the list was read %d times after two hours", n)
		}
		s := f.staffOf(rc)
		if len(s.Changes) != 2 {
			t.Fatalf("changes %+v", s.Changes)
		}
		got := strings.Join(s.Changes[0].What, "\n")
		for _, want := range []string{"Иван Петров (id 11): the e-mail was ivan@example.ru, now i.petrov@example.ru",
			"Ольга Семенова (id 12) left the managers' group", "Новый Третий (id 16) is new"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not listed in\n%s", want, got)
			}
		}
		if all := strings.Join(s.Issues, "\n"); !strings.Contains(all, "extension 102: olga@portal.example.ru is not in the CRM's group Менеджеры any more; he stays joined") ||
			!strings.Contains(all, "stays joined to user 11") {
			t.Errorf("conflicts: %s", all)
		}
		if m := f.registered(); m.Codes[16] != "103" || m.Codes[12] != "102" || m.Codes[11] != "101" {
			t.Errorf("the portal knows %+v", m.Codes)
		}
		f.settle(4 * time.Hour)
		if n := f.listed(); n != 3 {
			t.Errorf("the list was read %d times in six hours", n)
		}
		if len(f.staffOf(rc).Changes) != 2 {
			t.Error("lists without changes were noted")
		}
	})
}

// listed counts how often the users were read since the log was cleared.
func (f *firm) listed() int {
	n := 0
	for _, r := range f.retail.RequestLog() {
		if r.Path == "/api/v5/users" {
			n++
		}
	}
	return n
}
