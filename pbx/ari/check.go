package ari

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"callbridge/bridge/fault"
	"callbridge/pbx"
)

var _ pbx.Checker = (*PBX)(nil)

// nobody is the id of a channel that does not exist: ending it changes nothing,
// and only who may write is told so.
const nobody = "callbridge-check"

// modules are what ARI, its events and the dialplan's Stasis() need, with what
// does not work without each.
var modules = []struct{ name, en, ru string }{
	{"res_http_websocket.so", "no events", "нет событий"},
	{"res_ari_events.so", "no events", "нет событий"},
	{"res_ari_channels.so", "no click-to-call", "нет звонков по клику"},
	{"res_ari_endpoints.so", "phones are not seen", "не видны телефоны"},
	{"app_stasis.so", "the dialplan cannot ask who takes a call", "диалплан не может спросить, кому отдать звонок"},
}

// Check examines link, rights, modules, dialplan and phones. It uses an
// application of its own, so that a daemon that is connected notices nothing.
func (p *PBX) Check(ctx context.Context, w pbx.Wanted) (pbx.Report, error) {
	var info struct {
		System struct{ Version string }
	}
	began := time.Now()
	resp, err := p.send(ctx, request{op: "check", method: http.MethodGet, path: "/asterisk/info"})
	if err != nil {
		return pbx.Report{}, err
	}
	date, derr := http.ParseTime(resp.Header.Get("Date"))
	_ = resp.Body.Close()
	if err := p.do(ctx, request{op: "check", method: http.MethodGet, path: "/asterisk/info", out: &info}); err != nil {
		return pbx.Report{}, err
	}
	r := pbx.Report{Version: info.System.Version, Phones: map[string]string{}}
	if derr == nil {
		// The header has whole seconds: within one of our clock is right.
		if skew := date.Sub(began.Add(time.Since(began) / 2)); skew > time.Second || skew < -2*time.Second {
			r.Skew = skew.Round(time.Second)
		}
	}
	line := func(what string, ok bool, en, ru string) {
		r.Lines = append(r.Lines, pbx.CheckLine{What: what, OK: ok, En: en, Ru: ru})
	}

	err = p.do(ctx, request{op: "check", method: http.MethodDelete, path: "/channels/" + nobody})
	line("the ARI user may write", fault.KindOf(err) != fault.Forbidden,
		"Set read_only = no for this user in ari.conf, then on the Asterisk console: module reload res_ari.so",
		"В ari.conf у этого пользователя поставьте read_only = no, затем в консоли Asterisk: module reload res_ari.so")

	for _, m := range modules {
		err := p.do(ctx, request{op: "check", method: http.MethodGet, path: "/asterisk/modules/" + m.name})
		line("module "+m.name, err == nil,
			fmt.Sprintf("Without it: %s. On the Asterisk console: module load %s; for ever: take its noload out of modules.conf", m.en, m.name),
			fmt.Sprintf("Без него: %s. В консоли Asterisk: module load %s; навсегда — уберите его noload из modules.conf", m.ru, m.name))
	}
	if err := p.checkPhones(ctx, &r); err != nil {
		return r, err
	}
	p.checkDialplan(ctx, w, &r)
	return r, nil
}

func (p *PBX) checkPhones(ctx context.Context, r *pbx.Report) error {
	var all []struct{ Technology, Resource, State string }
	if err := p.do(ctx, request{op: "check", method: http.MethodGet, path: "/endpoints", out: &all}); err != nil {
		return err
	}
	trunks := map[string]string{}
	for _, e := range all {
		switch {
		case e.Technology != p.cfg.Tech:
		case slices.Contains(p.cfg.Trunks, e.Resource):
			trunks[e.Resource] = e.State
		case p.cfg.Names[e.Resource] != "":
			r.Phones[p.cfg.Names[e.Resource]] = e.State
		case p.cfg.Phones.MatchString(e.Resource):
			r.Phones[e.Resource] = e.State
		}
	}
	if len(p.cfg.Trunks) == 0 {
		r.Lines = append(r.Lines, pbx.CheckLine{What: "outside lines (trunks)",
			En: "Name the provider's endpoint in callbridge.yaml, trunks; else incoming and outgoing calls are told apart by guessing",
			Ru: "Укажите endpoint провайдера в callbridge.yaml, trunks, иначе направление звонков определяется догадками"})
	}
	for _, t := range p.cfg.Trunks {
		state, is := trunks[t]
		l := pbx.CheckLine{What: "outside line " + t, OK: is && state != "offline"}
		switch {
		case !is:
			l.En = fmt.Sprintf("Asterisk has no %s endpoint %s: correct trunks in callbridge.yaml (pjsip show endpoints lists them)", p.cfg.Tech, t)
			l.Ru = fmt.Sprintf("В Asterisk нет endpoint %s/%s: исправьте trunks в callbridge.yaml (список: pjsip show endpoints)", p.cfg.Tech, t)
		case !l.OK:
			l.Warn = true
			l.En, l.Ru = "Asterisk cannot reach the provider now", "Asterisk сейчас не видит провайдера"
		}
		r.Lines = append(r.Lines, l)
	}
	return nil
}

// checkDialplan asks the dialplan itself, by a channel that is made and never
// dialled, whether the places Callbridge goes to are there.
func (p *PBX) checkDialplan(ctx context.Context, w pbx.Wanted, r *pbx.Report) {
	app := p.cfg.App + "-check"
	twin := p.cfgWithApp(app)
	ws, err := twin.dial(ctx)
	r.Lines = append(r.Lines, pbx.CheckLine{What: "the event socket opens", OK: err == nil,
		En: "http.conf: enabled = yes; modules res_http_websocket and res_ari_events; a proxy in between must let websockets through" + because(err),
		Ru: "http.conf: enabled = yes; модули res_http_websocket и res_ari_events; прокси между ними должен пропускать websocket" + because(err)})
	if err != nil {
		return
	}
	defer func() { _ = ws.Close() }()
	id := nobody + "-" + rand.Text()
	path := "/channels/" + id
	err = p.do(ctx, request{op: "check", method: http.MethodPost, path: "/channels/create",
		query: url.Values{"endpoint": {"Local/s@" + routeContext + "/n"}, "app": {app}, "channelId": {id}}})
	if err != nil {
		r.Lines = append(r.Lines, pbx.CheckLine{What: "dialplan", Warn: true,
			En: "could not be examined" + because(err), Ru: "не удалось проверить" + because(err)})
		return
	}
	defer func() {
		// Also when the time is up: the channel must not stay.
		dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
		defer cancel()
		_ = p.do(dctx, request{op: "check", method: http.MethodDelete, path: path})
	}()
	exists := func(place string) bool {
		var v struct{ Value string }
		err := p.do(ctx, request{op: "check", method: http.MethodGet, path: path + "/variable",
			query: url.Values{"variable": {"DIALPLAN_EXISTS(" + place + ")"}}, out: &v})
		return err == nil && v.Value == "1"
	}
	if w.Clicks {
		r.Lines = append(r.Lines, pbx.CheckLine{What: "dialplan: context " + p.cfg.ClickContext, OK: exists(p.cfg.ClickContext + ",79161234567,1"),
			En: fmt.Sprintf("Click-to-call goes there with the client's number. Copy extensions_callbridge.conf beside extensions.conf, write #include extensions_callbridge.conf into it, then: dialplan reload. Another context: click_context in callbridge.yaml (now %s)", p.cfg.ClickContext),
			Ru: fmt.Sprintf("Туда уходит звонок по клику. Положите extensions_callbridge.conf рядом с extensions.conf, впишите в него #include extensions_callbridge.conf, затем: dialplan reload. Другой контекст: click_context в callbridge.yaml (сейчас %s)", p.cfg.ClickContext)})
	}
	if w.Routing {
		r.Lines = append(r.Lines, pbx.CheckLine{What: "dialplan: the question who takes a call", OK: exists(routeContext + ",s,1"), Warn: true,
			En: "An integration gives calls to the personal manager, but the dialplan has no context " + routeContext + ": see deploy/asterisk/README.md, step 3. If yours asks by itself with Stasis(" + p.cfg.App + "," + cmp.Or(p.cfg.RouteArg, "route") + ",…), all is well",
			Ru: "Интеграция отдаёт звонок персональному менеджеру, но в диалплане нет контекста " + routeContext + ": см. deploy/asterisk/README.md, шаг 3. Если ваш диалплан сам вызывает Stasis(" + p.cfg.App + "," + cmp.Or(p.cfg.RouteArg, "route") + ",…), всё в порядке"})
	}
}

// routeContext is the sample dialplan's place for routing questions.
const routeContext = "callbridge-route"

// cfgWithApp is the adapter for another application, for one connection.
func (p *PBX) cfgWithApp(app string) *PBX {
	cfg := p.cfg
	cfg.App = app
	return &PBX{cfg: cfg, base: p.base, log: p.log, deps: p.deps, http: p.http}
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return " (" + strings.TrimPrefix(err.Error(), "ari: ") + ")"
}
