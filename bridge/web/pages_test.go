package web

import (
	"fmt"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"callbridge/bridge"
)

func TestSignInForm(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.browser(t)
	a := b.get("/login?next=/calls/c1")
	token := csrfField.FindStringSubmatch(a.body)[1]
	try := func(v url.Values, header ...string) answer {
		t.Helper()
		return b.do("POST", "/login", v.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}
	good := url.Values{"csrf": {token}, "login": {"admin"}, "password": {password}, "next": {"/calls/c1"}}
	if a := try(url.Values{"login": {"admin"}, "password": {password}}); a.status != 403 {
		t.Errorf("without a token: %d", a.status)
	}
	if a := try(good, "Origin", "https://evil.example"); a.status != 403 {
		t.Errorf("from another site: %d", a.status)
	}
	if a := try(url.Values{"csrf": {token}, "login": {"admin"}, "password": {"wrong"}}, "Accept-Language", "ru"); a.status != 401 || !strings.Contains(a.body, "не подходят") || !strings.Contains(a.body, `value="admin"`) {
		t.Errorf("a wrong password: %d", a.status)
	}
	a = try(good)
	if a.status != 303 || a.header.Get("Location") != "/calls/c1" {
		t.Fatalf("%d to %s", a.status, a.header.Get("Location"))
	}
	cookie := strings.Join(a.header["Set-Cookie"], "\n")
	for _, want := range []string{"callbridge_session=", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %q", cookie, want)
		}
	}
	if strings.Contains(cookie, "Secure") {
		t.Error("Secure on plain http: the browser would drop it")
	}
	if a := b.get("/login"); a.status != 303 || a.header.Get("Location") != "/" {
		t.Errorf("signed in already: %d", a.status)
	}
	b.csrf = csrfMeta.FindStringSubmatch(b.get("/").body)[1]
	if a := b.form("/logout", url.Values{"csrf": {b.csrf}}); a.status != 303 {
		t.Errorf("sign-out: %d", a.status)
	}
	if a := b.get("/"); a.status != 303 {
		t.Errorf("after sign-out: %d", a.status)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.browser(t)
	post := func(login, pw string) answer {
		return b.do("POST", "/api/v1/session", fmt.Sprintf(`{"login":%q,"password":%q}`, login, pw))
	}
	for range 20 { // an office behind one address: good sign-ins do not count
		if a := post("maria", password); a.status != 201 {
			t.Fatalf("%d", a.status)
		}
	}
	for range 5 {
		refusedWith(t, post("ivan", "guess"), 401, "wrong_password", "")
	}
	refusedWith(t, post("ivan", "guess"), 429, "too_many_attempts", "")
	refusedWith(t, post("ivan", password), 429, "too_many_attempts", "")
	if a := post("maria", password); a.status != 201 {
		t.Errorf("another user is locked out: %d", a.status)
	}
	g, now := newGuard(), time.Now()
	for range 5 {
		g.failed("ip", "ivan", now)
	}
	if g.allowed("ip", "ivan", now) || !g.allowed("ip", "ivan", now.Add(time.Minute)) {
		t.Error("the guard does not let go after a minute")
	}
	for n := range 3 * guardSize {
		g.failed(fmt.Sprint(n), "x", now)
	}
	if len(g.seen) > guardSize+2 {
		t.Errorf("the guard remembers %d", len(g.seen))
	}
}

func TestSafeNext(t *testing.T) {
	for in, want := range map[string]string{"/calls/1?x=2": "/calls/1?x=2", "//evil.example": "", "https://evil.example": "", `/\evil.example`: "", "": "", "javascript:alert(1)": "", "/login": "", "agent": ""} {
		if got := safeNext(in); got != want {
			t.Errorf("%q → %q", in, got)
		}
	}
}

func TestCookiesOfAFramedHTTPSPage(t *testing.T) {
	w := newWorld(t).start(t, func(d *Deps) {
		d.PublicURL, d.FrameAncestors = "https://calls.example.ru", []string{"https://mp000000.megaplan.ru"}
	})
	a := w.browser(t).get("/login")
	cookie, policy := a.header.Get("Set-Cookie"), a.header.Get("Content-Security-Policy")
	for _, want := range []string{"Secure", "SameSite=None", "Partitioned", "HttpOnly"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %q", cookie, want)
		}
	}
	if !strings.HasSuffix(policy, "frame-ancestors 'self' https://mp000000.megaplan.ru") || a.header.Get("X-Frame-Options") != "" {
		t.Errorf("policy %q", policy)
	}
	if a.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestSecurityHeaders(t *testing.T) {
	w := newWorld(t).start(t, nil)
	for _, path := range []string{"/login", "/agent", "/healthz", "/static/app.css", "/api/v1/me"} {
		h := w.browser(t).get(path).header
		if p := h.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") || !strings.Contains(p, "frame-ancestors 'self'") {
			t.Errorf("%s: policy %q", path, p)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "SAMEORIGIN" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
	if a := w.browser(t).get("/static/app.css?v=" + assetVersion); !strings.Contains(a.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("%v", a.header)
	}
	if a := w.browser(t).get("/static/"); a.status != 404 {
		t.Errorf("the folder is listed: %d", a.status)
	}
}

// TestPagesHoldNoInlineScript: what the policy forbids must not be needed.
func TestPagesHoldNoInlineScript(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script>|\son[a-z]+="|\sstyle="|javascript:`)
	err := fs.WalkDir(files, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(path)
		if m := inline.FindString(string(b)); m != "" {
			t.Errorf("%s has %q", path, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryTextIsThereInBothLanguages(t *testing.T) {
	for k, v := range texts {
		if (v[0] == "") != (v[1] == "") {
			t.Errorf("%s is there in one language only", k)
		}
		if holes := regexp.MustCompile(`\{\w+\}`); strings.Join(holes.FindAllString(v[0], -1), "") != strings.Join(holes.FindAllString(v[1], -1), "") {
			t.Errorf("%s: the places for values differ", k)
		}
		if strings.ContainsFunc(v[1], func(c rune) bool { return unicode.Is(unicode.Cyrillic, c) }) && k != "nav.language" {
			t.Errorf("%s: Russian in English", k)
		}
	}
	// Every key that pages, script and code name is in the table.
	need := map[string]bool{}
	add := func(text, expr, prefix string) {
		for _, m := range regexp.MustCompile(expr).FindAllStringSubmatch(text, -1) {
			need[prefix+m[1]] = true
		}
	}
	for _, glob := range []string{"templates/*.html", "static/agent.js", "static/desk.js"} {
		names, err := fs.Glob(files, glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := files.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			add(string(b), `\.T "([a-z._]+[a-z_])"`, "")
			add(string(b), `\$l\.T "([a-z._]+[a-z_])"`, "")
			if strings.HasSuffix(n, ".js") {
				add(string(b), `\bt\("([a-z_]+)"[,)]`, "js.")
			}
		}
	}
	for _, n := range []string{"api.go", "auth.go", "server.go", "pages.go", "overview.go", "why.go", "once.go", "settings.go", "setrules.go", "setlists.go", "setversions.go", "setapi.go", "desk.go", "personal.go", "tokens.go", "alarms.go", "callextras.go"} {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		add(string(b), `Code: "([a-z_]+)"`, "error.")
		add(string(b), `invalid\([a-z"]+, "([a-z_]+)"\)`, "error.")
		add(string(b), `\.t\("([a-z._]+[a-z_])"\)`, "")
	}
	for _, r := range bridge.Reasons() {
		need["reason."+string(r)] = true
	}
	for _, s := range bridge.DeliveryStates() {
		need["delivery."+string(s)] = true
	}
	for _, k := range bridge.ActionKinds() {
		need["action."+string(k)] = true
	}
	if len(need) < 150 {
		t.Errorf("only %d keys were found: the search is broken", len(need))
	}
	for k := range need {
		if !known(k) {
			t.Errorf("no text for %s", k)
		}
	}
}

func TestLanguageIsChosen(t *testing.T) {
	s := &server{}
	for _, tc := range []struct {
		cookie, user, header string
		want                 lang
	}{
		{"", "", "", ru}, {"", "", "en-GB,en;q=0.9,ru;q=0.8", en}, {"", "", "ru-RU,ru;q=0.9", ru}, {"", "", "de", en}, {"", "", "uk", ru},
		{"", "ru", "en", ru}, {"en", "ru", "ru", en}, {"xx", "", "en", en},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if tc.header != "" {
			r.Header.Set("Accept-Language", tc.header)
		}
		if tc.cookie != "" {
			r.Header.Set("Cookie", langCookie+"="+tc.cookie)
		}
		if tc.user != "" {
			r = r.WithContext(withVisitor(r.Context(), &visitor{user: bridge.User{Language: tc.user}}))
		}
		if got := s.language(r); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
	w := newWorld(t).start(t, nil)
	b := w.browser(t)
	if a := b.form("/language", url.Values{"lang": {"en"}, "next": {"/login"}}); a.status != 303 || a.header.Get("Location") != "/login" {
		t.Errorf("%d %s", a.status, a.header.Get("Location"))
	}
	if a := b.get("/login", "Accept-Language", "ru"); !strings.Contains(a.body, "Password") {
		t.Error("the choice is not kept")
	}
	if a := b.form("/language", url.Values{"lang": {"xx"}}); a.status != 422 {
		t.Errorf("%d", a.status)
	}
}

func TestConsolePages(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, nil)
	b := w.signIn(t, "admin")
	ruHeader := []string{"Accept-Language", "ru"}
	for path, want := range map[string][]string{
		"/":                    {"Последние звонки", "7 916 123-45-67", "Мегаплан", "на связи", "Сверка сходится", `/calls/c1`},
		"/?part=live":          {"Никто не разговаривает"},
		"/?period=week":        {"Звонки за 7 дней"},
		"/?part=plots":         {"Звонки за 24 часа", "Ждут звонка", "Карточка на экране", "<title>", "Числами"},
		"/calls":               {"7 916 123-45-67", "Иван Петров", `value="&#43;74951234567"`, "Сайт"},
		"/calls?limit=3":       {"before=c3"},
		"/calls?client=550133": {"/calls/c3"},
		"/calls?extension=102&outcome=answered&day=2001-01-01": {"не подходит ни один звонок", "Сбросить"},
		"/calls?outcome=missed":                                {"Клиент не дождался"},
		"/calls/c1":                                            {"Иван Петров", "https://mp.example.ru/crm/1001", "HTTP 503", "calls.contact", "channel_began", "43", "Service Unavailable", "&lt;b&gt;any&lt;/b&gt;"},
		"/deliveries":                                          {"Отказ", "правило просит только пропущенные"},
		"/deliveries?state=failed":                             {"HTTP 400"},
		"/ledger":                                              {"2026-11-22", "megaplan-main"},
	} {
		a := b.get(path, ruHeader...)
		if a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		for _, x := range want {
			if !strings.Contains(a.body, x) {
				t.Errorf("%s does not show %q", path, x)
			}
		}
		if strings.Contains(a.body, "javascript:") || strings.Contains(a.body, "<b>any") || strings.Contains(a.body, "ZgotmplZ") {
			t.Errorf("%s lets foreign text through", path)
		}
	}
	if a := b.get("/calls/none", ruHeader...); a.status != 404 || !strings.Contains(a.body, "Такого здесь нет") {
		t.Errorf("%d", a.status)
	}
	if a := b.get("/calls?limit=x", ruHeader...); a.status != 422 || !strings.Contains(a.body, "От 1 до 500") {
		t.Errorf("%d", a.status)
	}
	if a := w.signIn(t, "ivan").get("/ledger", ruHeader...); a.status != 403 || !strings.Contains(a.body, "права") {
		t.Errorf("%d", a.status)
	}
}

func TestAgentPageMarkup(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, nil)
	b := w.signIn(t, "ivan")
	a := b.get("/agent?number=%2B79161234567", "Accept-Language", "ru")
	for _, want := range []string{`lang="ru"`, `value="&#43;79161234567"`, `aria-live="assertive"`, `role="switch"`, "Перезвонить: ", `data-dial="&#43;79265550111"`, `"ringing":"Звонит"`, "→ Мария Смирнова"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if a := b.get("/agent?number=%22%3E%3Cscript%3E"); strings.Contains(a.body, `"><script>`) || !strings.Contains(a.body, `value=""`) {
		t.Error("a foreign number goes into the box")
	}
	if strings.Count(a.body, " open\"") != 1 {
		t.Errorf("calls to return: %d, want 1", strings.Count(a.body, " open\""))
	}
	if a := b.get("/agent/recent"); a.status != 200 || strings.Contains(a.body, "<html") || !strings.Contains(a.body, "data-nav") {
		t.Errorf("%d", a.status)
	}
	if a := w.signIn(t, "noext").get("/agent", "Accept-Language", "ru"); !strings.Contains(a.body, "не закреплён внутренний номер") {
		t.Error("nobody tells an agent without an extension why he sees nothing (D-30)")
	}
}

func TestPasswords(t *testing.T) {
	h, err := HashPassword("восемь зн")
	if err != nil || !CheckPassword(h, "восемь зн") || CheckPassword(h, "восемь зм") || CheckPassword("", "x") || CheckPassword(nobody, "x") {
		t.Errorf("%q %v", h, err)
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", 73)} {
		if _, err := HashPassword(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestNewRefusesHalfADeps(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("New worked without anything")
		}
	}()
	New(Deps{})
}

func TestLength(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 7 * time.Second: "0:07", 750 * time.Second: "12:30", 3723 * time.Second: "1:02:03"} {
		if got := length(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
