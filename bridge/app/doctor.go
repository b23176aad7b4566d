package app

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/fault"
	"callbridge/bridge/phone"
	"callbridge/bridge/staff"
	"callbridge/crm"
	"callbridge/pbx"
	"callbridge/pbx/ari"
)

// States of a Finding.
const (
	FindingOK      = "ok"
	FindingWarning = "warning"
	FindingFailed  = "failed"
)

// Finding is one line of the doctor's report (F-12). If it is not ok, En and
// Ru say what to do.
type Finding struct {
	Area  string `json:"area"` // configuration, database, disk, clock, public address, pbx ID, crm ID, employees
	What  string `json:"what"`
	State string `json:"state"`
	En    string `json:"say,omitempty"`
	Ru    string `json:"say_ru,omitempty"`
}

// doctor collects findings.
type doctor struct {
	cfg    *config.Config
	http   *http.Client
	free   func(dir string) (uint64, error)
	found  []Finding
	phones map[string]bool // extensions the PBXs have
	seen   bool            // at least one PBX told its phones
}

// Examine looks at everything calls depend on, beside a running daemon or
// without one. It changes nothing in PBX and CRM.
func Examine(ctx context.Context, o Options) []Finding {
	d := &doctor{cfg: o.Config, phones: map[string]bool{}, free: freeBytes, http: &http.Client{Transport: o.Transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	d.clock()
	d.disk()
	a, err := New(ctx, o)
	if err != nil {
		d.add("database", "opens", FindingFailed, err.Error(), "не открывается: "+err.Error())
		d.pbxs(ctx, bridge.Settings{})
		d.public(ctx, o.Key)
		return d.found
	}
	defer func() { _ = a.Stop(context.WithoutCancel(ctx)) }() // nothing runs
	d.ok("database", "opens, is written and read")
	s := a.plan.Load().settings
	if !a.HasUsers() {
		d.add("settings", "somebody can sign in", FindingWarning, "Put users into the settings: `callbridge apply settings.yaml`", "Добавьте users в настройки: `callbridge apply settings.yaml`")
	}
	d.pbxs(ctx, s)
	d.extensions(s)
	d.crms(ctx, a)
	d.public(ctx, o.Key)
	return d.found
}

func (d *doctor) add(area, what, state, en, ru string) {
	d.found = append(d.found, Finding{area, what, state, en, ru})
}

func (d *doctor) ok(area, what string) { d.add(area, what, FindingOK, "", "") }

// is adds a line that is ok, or has the given state and texts.
func (d *doctor) is(good bool, area, what, state, en, ru string) {
	if good {
		d.ok(area, what)
		return
	}
	d.add(area, what, state, en, ru)
}

// clock looks at zones; clocks are compared with those of PBX and CRM.
func (d *doctor) clock() {
	_, err := time.LoadLocation(d.cfg.TimeZone)
	d.is(err == nil, "clock", "time zone "+d.cfg.TimeZone, FindingFailed, "is not known: correct time_zone", "неизвестна: исправьте time_zone")
	for _, p := range d.cfg.PBX {
		if p.TimeZone != "" {
			_, err := time.LoadLocation(p.TimeZone)
			d.is(err == nil, "clock", "time zone "+p.TimeZone+" of PBX "+p.ID, FindingFailed, "is not known: correct time_zone", "неизвестна: исправьте time_zone")
		}
	}
}

// skewed tells how far another clock is off.
func (d *doctor) skewed(area string, skew time.Duration) {
	state := FindingWarning
	if skew.Abs() > time.Minute {
		state = FindingFailed
	}
	d.is(skew.Abs() <= 5*time.Second, area, "its clock and ours agree", state,
		fmt.Sprintf("They differ by %s: switch time synchronisation on (timedatectl set-ntp true) on both machines", skew.Round(time.Second)),
		fmt.Sprintf("Расходятся на %s: включите синхронизацию времени (timedatectl set-ntp true) на обеих машинах", skew.Round(time.Second)))
}

const (
	diskLeast = 200 << 20 // less is no room for an outage
	diskGood  = 1 << 30
)

// disk looks at the room beside an SQLite database.
func (d *doctor) disk() {
	file, ok := strings.CutPrefix(d.cfg.Database.Reveal(), "sqlite:")
	if !ok {
		return
	}
	dir := filepath.Dir(file)
	free, err := d.free(dir)
	if err != nil {
		d.add("disk", dir, FindingFailed, "cannot be looked at: "+err.Error(), "не удаётся посмотреть: "+err.Error())
		return
	}
	state := FindingWarning
	if free < diskLeast {
		state = FindingFailed
	}
	d.is(free >= diskGood, "disk", fmt.Sprintf("room in %s", dir), state,
		fmt.Sprintf("Only %d MB are free: make room or move the database; keep.*_days says how long data stays", free>>20),
		fmt.Sprintf("Свободно только %d МБ: освободите место или перенесите базу; срок хранения — keep.*_days", free>>20))
}

// freeBytes is what an ordinary user may still write.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// pbxs examines every PBX.
func (d *doctor) pbxs(ctx context.Context, s bridge.Settings) {
	if len(d.cfg.PBX) == 0 {
		d.add("configuration", "pbx", FindingFailed, "No telephone system is named: add pbx to callbridge.yaml (`callbridge configdoc` shows how)", "Не указана АТС: добавьте pbx в callbridge.yaml (образец: `callbridge configdoc`)")
	}
	w := pbx.Wanted{Clicks: true, Routing: slices.ContainsFunc(s.Integrations, func(in bridge.Integration) bool { return in.Calls.PersonalManager })}
	for _, c := range d.cfg.PBX {
		d.pbx(ctx, c, w)
	}
}

func (d *doctor) pbx(ctx context.Context, c config.PBX, w pbx.Wanted) {
	area := "pbx " + c.ID
	ac, err := asterisk(c)
	if err != nil {
		d.add(area, "configuration", FindingFailed, err.Error(), err.Error())
		return
	}
	p, err := ari.New(ac, ari.Deps{})
	if err != nil {
		d.add(area, "configuration", FindingFailed, err.Error(), err.Error())
		return
	}
	pctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := p.Check(pctx, w)
	switch {
	case err == nil:
		d.ok(area, strings.TrimSpace("answers: Asterisk "+r.Version))
	case fault.KindOf(err) == fault.Auth:
		d.add(area, "the password", FindingFailed, "The ARI user "+c.Username+" or his password is refused: compare with ari.conf", "Пользователь ARI "+c.Username+" или его пароль не принят: сверьте с ari.conf")
		return
	case fault.KindOf(err) == fault.Gone:
		d.add(area, "ARI", FindingFailed, "A web server answers at "+c.URL+", but without ARI: enabled = yes in ari.conf, module load res_ari.so", "По адресу "+c.URL+" отвечает веб-сервер без ARI: в ari.conf enabled = yes, затем module load res_ari.so")
		return
	default:
		d.add(area, "answers", FindingFailed, "Nothing usable at "+c.URL+": is http.conf enabled, bindaddr right, the port open? ("+err.Error()+")", "Нет ответа по адресу "+c.URL+": включён ли http.conf, верен ли bindaddr, открыт ли порт? ("+err.Error()+")")
		return
	}
	d.skewed(area, r.Skew)
	for _, l := range r.Lines {
		state := FindingFailed
		if l.Warn {
			state = FindingWarning
		}
		d.is(l.OK, area, l.What, state, l.En, l.Ru)
	}
	d.seen = true
	for ext := range r.Phones {
		d.phones[ext] = true
	}
}

// extensions compares the employees of the settings with the PBXs' phones.
func (d *doctor) extensions(s bridge.Settings) {
	if !d.seen {
		return
	}
	const area = "employees"
	known := map[string]bool{}
	bad := 0
	for _, e := range s.Employees {
		known[e.Extension] = true
		if e.Extension != "" && !d.phones[e.Extension] {
			bad++
			d.add(area, "extension "+e.Extension, FindingFailed,
				fmt.Sprintf("%s has it here, but no PBX has such a phone: correct the settings, or pbx.phones and pbx.names", cmp.Or(e.Name, e.Email)),
				fmt.Sprintf("Указан для %s, но такого телефона нет ни в одной АТС: исправьте настройки либо pbx.phones и pbx.names", cmp.Or(e.Name, e.Email)))
		}
	}
	for _, u := range s.Users {
		if u.Extension != "" && !known[u.Extension] && !d.phones[u.Extension] {
			bad++
			d.add(area, "extension "+u.Extension, FindingFailed, "The user "+u.Login+" has it, but no PBX has such a phone", "Указан у пользователя "+u.Login+", но такого телефона нет ни в одной АТС")
		}
		known[u.Extension] = true
	}
	var idle []string
	for ext := range d.phones {
		if !known[ext] {
			idle = append(idle, ext)
		}
	}
	if slices.Sort(idle); len(idle) > 0 {
		bad++
		d.add(area, "phones of nobody", FindingWarning, "The PBX has the phones "+strings.Join(idle, ", ")+", no employee here has them: their calls belong to nobody", "В АТС есть телефоны "+strings.Join(idle, ", ")+", но они не закреплены за сотрудниками: их звонки ничьи")
	}
	if bad == 0 {
		d.ok(area, fmt.Sprintf("%d extensions are phones of the PBX", len(s.Employees)))
	}
}

// crms examines every integration.
func (d *doctor) crms(ctx context.Context, a *App) {
	settings := a.plan.Load().settings
	if len(settings.Integrations) == 0 {
		d.add("settings", "integrations", FindingWarning, "No CRM is connected: `callbridge apply settings.yaml`", "Ни одна CRM не подключена: `callbridge apply settings.yaml`")
	}
	for _, in := range settings.Integrations {
		d.crm(ctx, a, in)
	}
}

func (d *doctor) crm(ctx context.Context, a *App, in bridge.Integration) {
	area := "crm " + in.ID
	t := a.targetOf(in.ID)
	if t == nil {
		err := cmp.Or(a.openTrouble(in.ID), errors.New("it cannot be opened"))
		d.add(area, "settings", FindingFailed, err.Error(), err.Error())
		return
	}
	cctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rep, err := t.client.Check(cctx)
	if err != nil {
		en, ru := "Try again later, or look at the address: ", "Повторите позже или проверьте адрес: "
		if fault.KindOf(err) == fault.Auth {
			en, ru = "Enter address and credentials anew in the settings: ", "Введите адрес и учётные данные в настройках заново: "
		}
		d.add(area, "address and credentials", FindingFailed, en+err.Error(), ru+err.Error())
		return
	}
	d.ok(area, "address and credentials: "+rep.Account)
	for _, l := range rep.Lines {
		d.is(l.OK, area, l.What, FindingFailed, l.Help, l.Help)
	}
	st, err := a.db.IntegrationState(ctx, in.ID)
	switch {
	case err != nil:
		d.add(area, "state", FindingFailed, err.Error(), err.Error())
	case !in.Active:
		d.add(area, "switched on", FindingWarning, "It is off: `callbridge integrations activate "+in.ID+"`", "Выключена: `callbridge integrations activate "+in.ID+"`")
	case !st.Active:
		d.add(area, "switched on", FindingFailed, "Everything for it is held ("+st.HeldReason+"): `callbridge integrations activate "+in.ID+" --resend`", "Отправка остановлена ("+st.HeldReason+"): `callbridge integrations activate "+in.ID+" --resend`")
	}
	d.people(cctx, area, t, a.plan.Load().settings.Employees)
	d.numbers(cctx, area, t)
	d.crmClock(cctx, area, in.Credentials["url"])
}

// people lists each difference between the CRM's users and our employees.
func (d *doctor) people(ctx context.Context, area string, t *target, ours []bridge.Employee) {
	dir, ok := t.client.(crm.Directory)
	if !ok {
		return
	}
	list, err := dir.Employees(ctx)
	if err != nil {
		d.add(area, "employees", FindingFailed, err.Error(), err.Error())
		return
	}
	m := staff.NewMap(list, ours, t.joined(), t.wishes())
	for _, issue := range m.Issues() {
		d.add(area, "employees", FindingWarning, issue, issue)
	}
	d.is(m.Size() > 0, area, fmt.Sprintf("employees: %d extensions are joined to users", m.Size()), FindingFailed,
		"Nobody is joined to an extension: enter extensions in the CRM's telephony settings, or the same e-mail here and there",
		"Ни один сотрудник не сопоставлен: укажите внутренние номера в настройках телефонии CRM или одинаковые e-mail здесь и там")
}

// numbers tells the share of the CRM's numbers that are not international.
func (d *doctor) numbers(ctx context.Context, area string, t *target) {
	s, ok := t.client.(crm.NumberSampler)
	if !ok {
		return
	}
	list, err := s.SampleNumbers(ctx, 100)
	if err != nil {
		d.add(area, "forms of numbers", FindingWarning, err.Error(), err.Error())
		return
	}
	if len(list) == 0 {
		return
	}
	local, none := 0, 0
	for _, raw := range list {
		n, kind := phone.Parse(raw, d.cfg.Country)
		switch {
		case kind != phone.Public:
			none++
		case !strings.HasPrefix(digits(raw), n.Digits()):
			local++ // its country was guessed
		}
	}
	share := func(n int) int { return n * 100 / len(list) }
	d.is(local*5 <= len(list), area, fmt.Sprintf("forms of numbers: %d%% of %d are without a country", share(local), len(list)), FindingWarning,
		"They are read as numbers of "+d.cfg.Country+" (country in callbridge.yaml). Foreign ones among them are not found: write them with + and the country",
		"Они читаются как номера "+d.cfg.Country+" (country в callbridge.yaml). Иностранные среди них не найдутся: записывайте их с + и кодом страны")
	d.is(none*5 <= len(list), area, fmt.Sprintf("forms of numbers: %d%% of %d are no numbers", share(none), len(list)), FindingWarning,
		"Clients with such entries are not recognised when they call", "Клиенты с такими записями не определятся при звонке")
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// crmClock compares our clock with the Date header of the CRM's server.
func (d *doctor) crmClock(ctx context.Context, area, address string) {
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		return
	}
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return
	}
	res, err := d.http.Do(req)
	if err != nil {
		return // that it cannot be reached is said elsewhere
	}
	_ = res.Body.Close()
	d.certificate(area, res)
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		skew := date.Sub(began.Add(time.Since(began) / 2))
		if skew.Abs() <= 2*time.Second {
			skew = 0 // the header has whole seconds
		}
		d.skewed(area, skew)
	}
}

// certificate warns before a certificate runs out.
func (d *doctor) certificate(area string, res *http.Response) {
	if res.TLS == nil || len(res.TLS.PeerCertificates) == 0 {
		return
	}
	until := res.TLS.PeerCertificates[0].NotAfter
	d.is(time.Until(until) > 14*24*time.Hour, area, "certificate", FindingWarning,
		"It runs out on "+until.UTC().Format(time.DateOnly)+": renew it", "Истекает "+until.UTC().Format(time.DateOnly)+": продлите")
}

// echoPath answers with a seal that only the holder of our key can make: who
// asks there from outside knows that he has reached this very program.
const echoPath = "/hooks/callbridge/echo"

func (a *App) echo(w http.ResponseWriter, r *http.Request) {
	nonce := r.URL.Query().Get("nonce")
	if nonce == "" || len(nonce) > 64 {
		http.Error(w, "nonce", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, seal(a.opts.Key, nonce))
}

func seal(key []byte, nonce string) string {
	m := hmac.New(sha256.New, key)
	_, _ = io.WriteString(m, "echo\n"+nonce)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// public asks ourselves by the public address, as the CRM's webhooks will.
func (d *doctor) public(ctx context.Context, key []byte) {
	const area = "public address"
	local := d.echoed(ctx, "http://"+reachable(d.cfg.Listen), key)
	if d.cfg.TLS.Cert != "" {
		local = nil // asked by its name below
	}
	d.is(local == nil, area, "the daemon runs at "+d.cfg.Listen, FindingWarning,
		"It does not answer there; the next lines need it: systemctl start callbridge"+said(local), "Там нет ответа, а без него следующие строки не проверить: systemctl start callbridge"+said(local))
	if d.cfg.PublicURL == "" {
		d.add(area, "public_url", FindingWarning, "It is empty: CRMs can neither call us nor play recordings. Write the address under which the outside reaches this server", "Не задан: CRM не сможет обращаться к нам и проигрывать записи. Укажите адрес, по которому сервер виден снаружи")
		return
	}
	if err := d.echoed(ctx, d.cfg.PublicURL, key); err != nil {
		d.add(area, d.cfg.PublicURL, FindingFailed,
			"Our own webhook cannot be reached there: DNS, firewall, the proxy's rule for /hooks/?"+said(err), "Наш вебхук по этому адресу недоступен: DNS, файрвол, правило прокси для /hooks/?"+said(err))
		return
	}
	d.ok(area, d.cfg.PublicURL+" leads to us")
	d.is(strings.HasPrefix(d.cfg.PublicURL, "https://") || loopback(d.cfg.PublicURL), area, "is encrypted", FindingWarning,
		"Passwords go over the network in clear: put TLS in front and write https://", "Пароли идут по сети открыто: настройте TLS и укажите https://")
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

func (d *doctor) echoed(ctx context.Context, base string, key []byte) error {
	nonce := rand.Text()
	ectx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ectx, http.MethodGet, base+echoPath+"?nonce="+nonce, nil)
	if err != nil {
		return err
	}
	res, err := d.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 256))
	if err != nil {
		return err
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("HTTP %d", res.StatusCode)
	case !hmac.Equal(body, []byte(seal(key, nonce))):
		return errors.New("another program answers there")
	}
	if strings.HasPrefix(base, "https:") {
		d.certificate("public address", res)
	}
	return nil
}

// reachable is an address to ask ourselves at.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
