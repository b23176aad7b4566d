package app

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

// clerk is a browser or script at the pages.
type clerk struct {
	t     *testing.T
	pages http.Handler
	token string
	lang  string // "": English
}

func (b *bureau) clerk(login string) *clerk { b.t.Helper(); return clerkAt(b.t, b.App, login) }

// clerkAt signs in without a password: what hashing costs on a busy machine is
// not what these tests are about.
func clerkAt(t *testing.T, a *App, login string) *clerk {
	t.Helper()
	v := &clerk{t: t, pages: web.New(a.webDeps()), token: rand.Text()}
	now := time.Now()
	if err := (site{a}).Begin(t.Context(), web.TokenHash(v.token), login, now, now.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	return v
}

// withUsers lets there be an admin and a supervisor.
func withUsers(t *testing.T, s *bridge.Settings) {
	t.Helper()
	s.Users = append(s.Users, bridge.User{Login: "admin", Role: bridge.Admin, PasswordHash: "none"}, bridge.User{Login: "boss", Role: bridge.Supervisor, PasswordHash: "none"})
}

func (v *clerk) do(method, path string, in any) (int, string) {
	v.t.Helper()
	kind, body := "application/json", ""
	switch x := in.(type) {
	case nil:
	case url.Values:
		kind, body = "application/x-www-form-urlencoded", x.Encode()
	default:
		raw, err := json.Marshal(in)
		if err != nil {
			v.t.Fatal(err)
		}
		body = string(raw)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Accept-Language", cmpOr(v.lang, "en"))
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	w := httptest.NewRecorder()
	v.pages.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (v *clerk) staff(code int, body string) web.Staff {
	v.t.Helper()
	var s web.Staff
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != 200 && code != 409 {
		v.t.Fatalf("%d %v: %s", code, err, body)
	}
	return s
}

const staffPath = "/api/v1/integrations/mp/employees"

// M-2.1.7, M-2.2.4: the button brings what changed in Megaplan at once.
func TestM217M224ButtonBringsNewExtensions(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) { withUsers(t, s) })
	v := b.clerk("admin")
	before := v.staff(v.do("GET", staffPath, nil))
	if before.Joined != 4 || before.SyncedAt.IsZero() || len(before.People) != 4 {
		t.Fatalf("before: %+v", before)
	}
	b.mega.AddEmployee(megaplantest.Employee{FirstName: "Вера", Email: "vera@example.ru", Extension: "105"})
	after := v.staff(v.do("POST", staffPath+"/sync", nil))
	if after.Joined != 5 || !slices.ContainsFunc(after.People, func(p web.Person) bool { return p.Extension == "105" && p.Email == "vera@example.ru" }) {
		t.Errorf("after: %+v", after)
	}
	if e, ok := b.targetOf("mp").ByExtension("105"); !ok || e.Email != "vera@example.ru" {
		t.Error("105 is not in force")
	}
	// The page has the button for admins; supervisors only look.
	if _, page := v.do("GET", "/integrations/mp/employees", nil); !strings.Contains(page, "Synchronise now") || !strings.Contains(page, "vera@example.ru") {
		t.Errorf("page: %s", page)
	}
	if code, page := v.do("POST", "/integrations/mp/employees", url.Values{"do": {"sync"}}); code != http.StatusSeeOther {
		t.Errorf("button: %d %s", code, page)
	}
	boss := b.clerk("boss")
	if code, page := boss.do("GET", "/integrations/mp/employees", nil); code != 200 || strings.Contains(page, "Synchronise now") {
		t.Errorf("a supervisor's page: %d", code)
	}
	if code, _ := boss.do("POST", staffPath+"/sync", nil); code != 403 {
		t.Errorf("a supervisor synchronised: %d", code)
	}
	if code, _ := v.do("GET", "/api/v1/integrations/nobody/employees", nil); code != 404 {
		t.Errorf("no such integration: %d", code)
	}
	// What is wrong is said in plain words.
	b.mega.SetPassword("changed", true)
	if code, body := v.do("POST", staffPath+"/sync", nil); code != 502 || !strings.Contains(body, "refuses login, password or key") {
		t.Errorf("wrong password: %d %s", code, body)
	}
}

// M-2.2.1, M-2.2.2, M-2.2.3: chosen employees are imported, once; off by default.
func TestM221M223ImportOfChosenEmployees(t *testing.T) {
	on := func(s *bridge.Settings) { s.Integrations[0].SyncEmployees = true; withUsers(t, s) }
	b := openBureau(t, bureauSeed(), on)
	v := b.clerk("admin")
	byMail := func(s web.Staff, mail string) web.Person {
		i := slices.IndexFunc(s.People, func(p web.Person) bool { return p.Email == mail })
		if i < 0 {
			t.Fatalf("no %s in %+v", mail, s)
		}
		return s.People[i]
	}
	s := v.staff(v.do("GET", staffPath, nil))
	if !s.Import || byMail(s, "ivan@example.ru").Ours != "101" || byMail(s, "petr@example.ru").Ours != "" {
		t.Fatalf("before: %+v", s)
	}
	chosen := map[string]any{"users": []web.Chosen{{User: byMail(s, "petr@example.ru").User}, {User: byMail(s, "anna@example.ru").User}}}
	for range 2 { // again changes nothing
		s = v.staff(v.do("POST", staffPath+"/import", chosen))
		if byMail(s, "petr@example.ru").Ours != "103" || byMail(s, "anna@example.ru").Ours != "104" {
			t.Fatalf("after: %+v", s)
		}
	}
	if got, version, err := b.db.Settings(t.Context()); err != nil || version != 2 || len(got.Employees) != 4 || got.Employees[2].Extension != "103" || got.Employees[3].Email != "anna@example.ru" {
		t.Errorf("version %d: %+v, %v", version, got.Employees, err)
	}
	// Without an extension in Megaplan one must be given, and a taken one is refused.
	id := b.mega.AddEmployee(megaplantest.Employee{FirstName: "Вера", Email: "vera@example.ru"})
	v.staff(v.do("POST", staffPath+"/sync", nil))
	for _, tc := range []struct {
		users []web.Chosen
		code  int
		says  string
	}{
		{[]web.Chosen{{User: id}}, 409, "extension is missing: Вера"},
		{[]web.Chosen{{User: id, Extension: "101"}}, 409, "another employee"},
		{[]web.Chosen{{User: "4040"}}, 409, "no such active user"},
		{nil, 422, "missing"},
		{[]web.Chosen{{User: id, Extension: "106"}}, 200, `"ours":"106"`},
	} {
		code, body := v.do("POST", staffPath+"/import", map[string]any{"users": tc.users})
		if code != tc.code || !strings.Contains(body, tc.says) && !strings.Contains(unquote(body), tc.says) {
			t.Errorf("%+v: %d %s", tc.users, code, body)
		}
	}
	// Off: nothing is imported, and the page says where to switch it on.
	off := openBureau(t, bureauSeed(), func(s *bridge.Settings) { withUsers(t, s) })
	ov := off.clerk("admin")
	if code, body := ov.do("POST", staffPath+"/import", chosen); code != 409 || !strings.Contains(body, "sync_employees") {
		t.Errorf("off: %d %s", code, body)
	}
	if _, page := ov.do("GET", "/integrations/mp/employees", nil); !strings.Contains(page, "sync_employees") || strings.Contains(page, `type="checkbox"`) {
		t.Error("the page offers an import that is off")
	}
}

// unquote joins text and about of an error answer.
func unquote(body string) string {
	var e struct {
		Error struct{ Text, About string }
	}
	_ = json.Unmarshal([]byte(body), &e)
	return e.Error.Text + " " + e.Error.About
}

// D-07: an empty list changes nothing and raises an alarm that an admin can
// answer; the next good list clears it.
func TestD07AlarmAndConfirmation(t *testing.T) {
	seed := bureauSeed()
	for i := range 4 {
		seed.Employees = append(seed.Employees, megaplantest.Employee{FirstName: fmt.Sprint("Н", i), Email: fmt.Sprintf("n%d@example.ru", i), Extension: fmt.Sprint(110 + i)})
	}
	b := openBureau(t, seed, func(s *bridge.Settings) { withUsers(t, s) })
	v := b.clerk("admin")
	b.mega.ClearUsers()
	code, body := v.do("POST", staffPath+"/sync", nil)
	s := v.staff(code, body)
	if code != 409 || s.Alarm == nil || s.Alarm.Was != 8 || s.Alarm.Now != 0 || len(s.Alarm.Gone) != 8 || s.Joined != 8 {
		t.Fatalf("empty list: %d %+v", code, s)
	}
	if e, ok := b.targetOf("mp").ByExtension("101"); !ok || e.User == "" {
		t.Error("the good map was replaced")
	}
	if _, page := v.do("GET", "/integrations/mp/employees", nil); !strings.Contains(page, "take the shorter list") || !strings.Contains(page, "Петров") {
		t.Error("the page does not show the alarm")
	}
	if code, body = v.do("POST", staffPath+"/sync", map[string]bool{"take_shorter": true}); code != 409 {
		t.Errorf("an empty list was taken: %d %s", code, body)
	}
	// Two of eight are left: taken once it is confirmed.
	for i := range 2 {
		b.mega.AddEmployee(megaplantest.Employee{FirstName: fmt.Sprint("Новый", i), Email: fmt.Sprintf("new%d@example.ru", i), Extension: fmt.Sprint(120 + i)})
	}
	if code, _ = v.do("POST", staffPath+"/sync", nil); code != 409 {
		t.Errorf("a shrunken list was believed: %d", code)
	}
	s = v.staff(v.do("POST", staffPath+"/sync", map[string]bool{"take_shorter": true}))
	if s.Alarm != nil || len(s.People) != 2 || s.Joined != 2 {
		t.Errorf("after the confirmation: %+v", s)
	}
}

// Decision 5: the match by e-mail is kept by id, over restarts and new settings.
func TestM222LinkSurvivesAChangedEmail(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	links, err := b.db.StaffLinks(t.Context(), "mp")
	if err != nil || len(links) != 2 || links[0].Email != "ivan@example.ru" {
		t.Fatalf("links %+v, %v", links, err)
	}
	s, _, err := b.db.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Employees = slices.Clone(s.Employees)
	s.Employees[0].Email = "i.petrov@example.ru" // changed here; Megaplan still has the old one
	s.Integrations[0].DefaultResponsible = "i.petrov@example.ru"
	if _, err := b.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
	target := b.targetOf("mp")
	if err := b.syncOnce(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if e, ok := target.ByEmail("i.petrov@example.ru"); !ok || string(e.User) != links[0].User {
		t.Errorf("i.petrov is %+v", e)
	}
	if issues := strings.Join(target.staff.Load().Issues(), "\n"); !regexp.MustCompile(`stays joined to user \d+`).MatchString(issues) {
		t.Errorf("issues %q", issues)
	}
}

// M-2.1.6: who is not listed in Megaplan's telephony settings gets neither a
// window there nor call data, and the ledger says so.
func TestM216UnlistedEmployeeGetsNothingAndTheLedgerSaysSo(t *testing.T) {
	seed := bureauSeed()
	seed.Employees[1].Extension = "" // Olga, 102
	b := openBureau(t, seed, nil)
	b.talk("79161234567", "102")
	all := b.settled(1)
	n := 0
	for _, d := range all {
		if d.Action.Kind == bridge.ActPopup && d.Action.Extension == "102" {
			n++
			if d.State != bridge.Skipped || !strings.Contains(d.Note, "M-2.1.6") {
				t.Errorf("%s: %s %s", d.Action.Key, d.State, d.Note)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d pop-ups of 102 in the ledger, want ring and answer", n)
	}
	if w := b.mega.Widget(); len(w) != 0 {
		t.Errorf("windows were told: %+v", w)
	}
	if c := b.made("call"); len(c) != 1 || c[0].Value("to") != "" {
		t.Errorf("call %+v, want it without a person", c)
	}
}

// M-2.2.5: employees are synchronised every two hours by themselves; after a
// failure sooner, and the list of before stays in force meanwhile.
func TestM225SynchronisedEveryTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.settle(5 * time.Second)
		asked := func() int {
			n := 0
			for _, r := range f.mega.Requests() {
				if r == "GET /employee" {
					n++
				}
			}
			return n
		}
		first := asked()
		if first == 0 {
			t.Fatal("not synchronised at the start")
		}
		f.mega.AddEmployee(megaplantest.Employee{FirstName: "Вера", Email: "vera@example.ru", Extension: "105"})
		time.Sleep(2*time.Hour - time.Minute)
		if _, ok := f.targetOf(mp).ByExtension("105"); ok || asked() != first {
			t.Errorf("before two hours: %d requests", asked()-first)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if _, ok := f.targetOf(mp).ByExtension("105"); !ok || asked() != first+1 {
			t.Errorf("after two hours: %d requests", asked()-first)
		}
		// Megaplan is down at the next time: tried again soon, nothing is lost.
		f.mega.SetFault(sandbox.Broken, true)
		time.Sleep(2*time.Hour + 10*time.Second)
		if _, ok := f.targetOf(mp).ByExtension("105"); !ok {
			t.Error("a failure took somebody away")
		}
		f.mega.SetFault(sandbox.Broken, false)
		f.mega.AddEmployee(megaplantest.Employee{FirstName: "Глеб", Email: "gleb@example.ru", Extension: "106"})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if _, ok := f.targetOf(mp).ByExtension("106"); !ok {
			t.Error("not tried again soon")
		}
		// D-07: an empty list changes nothing and raises the alarm.
		f.mega.ClearUsers()
		time.Sleep(2*time.Hour + time.Minute)
		synctest.Wait()
		if _, ok := f.targetOf(mp).ByExtension("106"); !ok || !f.targetOf(mp).shrunken.Load() {
			t.Error("an empty list was believed")
		}
	})
}
