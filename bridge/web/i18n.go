package web

import (
	"net/http"
	"strings"
)

// lang is the language of a page.
type lang string

const (
	ru lang = "ru"
	en lang = "en"
)

// language chooses: what a link to the sign-in page names, what was chosen on
// this device, else the user's setting,
// else what the browser asks for; Russian when nothing says otherwise.
func (s *server) language(r *http.Request) lang {
	if r.URL.Path == "/login" {
		if l := lang(r.URL.Query().Get("lang")); l == ru || l == en {
			return l
		}
	}
	if c, err := r.Cookie(langCookie); err == nil {
		if l := lang(c.Value); l == ru || l == en {
			return l
		}
	}
	if v := who(r); v != nil {
		if l := lang(v.user.Language); l == ru || l == en {
			return l
		}
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(strings.ToLower(part)), ";")
		switch main, _, _ := strings.Cut(tag, "-"); main {
		case "ru", "be", "uk", "kk":
			return ru
		case "":
		default:
			return en
		}
	}
	return ru
}

func (s *server) setLanguage(w http.ResponseWriter, r *http.Request) error {
	l := lang(r.PostFormValue("lang"))
	if l != ru && l != en {
		return invalid("lang", "bad_value")
	}
	s.setCookie(w, langCookie, string(l), 365*24*3600e9)
	next := safeNext(r.PostFormValue("next"))
	if next == "" {
		next = "/"
		if r.PostFormValue("next") == "/login" {
			next = "/login"
		}
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// t returns the text for key, the key itself when there is none: an untranslated
// word is seen and reported, an empty button is not.
func (l lang) t(key string) string {
	v, ok := texts[key]
	switch {
	case !ok:
		return key
	case l == en:
		return v[1]
	}
	return v[0]
}

// T is t for templates.
func (l lang) T(parts ...string) string { return l.t(strings.Join(parts, "")) }

func known(key string) bool { _, ok := texts[key]; return ok }

// script is the part of the table that the agent page's script needs.
func (l lang) script() map[string]string {
	out := map[string]string{}
	for k := range texts {
		if name, ok := strings.CutPrefix(k, "js."); ok {
			out[name] = l.t(k)
		} else if strings.HasPrefix(k, "reason.") {
			out[k] = l.t(k)
		}
	}
	return out
}

// baseTexts are those of the first pages: Russian, English.
var baseTexts = map[string][2]string{
	"login.title":    {"Вход", "Sign in"},
	"login.login":    {"Логин", "Login"},
	"login.password": {"Пароль", "Password"},
	"login.submit":   {"Войти", "Sign in"},
	"login.lead":     {"Звонки и карточки клиентов", "Calls and client cards"},
	"login.demo":     {"Демонстрация", "Demo"},

	"nav.agent":     {"Рабочее место", "Workplace"},
	"nav.console":   {"Консоль", "Console"},
	"nav.logout":    {"Выйти", "Sign out"},
	"nav.menu":      {"Меню", "Menu"},
	"nav.language":  {"In English", "По-русски"},
	"nav.theme":     {"Оформление", "Theme"},
	"nav.auto":      {"Как в системе", "As the system"},
	"nav.light":     {"Светлое", "Light"},
	"nav.dark":      {"Тёмное", "Dark"},
	"nav.skip":      {"К звонкам", "Skip to calls"},
	"nav.shortcuts": {"Клавиши", "Shortcuts"},

	"agent.title":      {"Рабочее место", "Workplace"},
	"agent.cards":      {"Звонки сейчас", "Calls now"},
	"agent.quiet":      {"Сейчас звонков нет", "No calls right now"},
	"agent.quiet.more": {"Карточка клиента появится здесь, как только зазвонит ваш телефон.", "The client’s card appears here the moment your phone rings."},
	"agent.noext":      {"За вами не закреплён внутренний номер — карточки не придут. Попросите администратора его указать.", "No extension is assigned to you, so no cards will come. Ask the administrator to set one."},
	"agent.dial":       {"Позвонить", "Call"},
	"agent.dial.label": {"Номер телефона", "Phone number"},
	"agent.dial.hint":  {"Номер можно вставить в любом виде", "Any way of writing the number will do"},
	"agent.recent":     {"Мои звонки", "My calls"},
	"agent.dnd":        {"Не беспокоить", "Do not disturb"},
	"agent.dnd.on":     {"«Не беспокоить» включено: звонки на ваш телефон не приходят.", "Do not disturb is on: calls do not reach your phone."},
	"agent.notify":     {"Включить уведомления", "Turn on notifications"},
	"agent.sound":      {"Звук звонка", "Ring sound"},
	"agent.ext":        {"внутренний", "extension"},
	"agent.noscript":   {"Для карточек нужен JavaScript.", "Cards need JavaScript."},

	"recent.none":      {"Пока ни одного звонка", "No calls yet"},
	"recent.in":        {"Входящий, вы ответили", "Incoming, you answered"},
	"recent.out":       {"Исходящий, разговор состоялся", "Outgoing, you talked"},
	"recent.elsewhere": {"Ответил коллега", "A colleague answered"},
	"recent.missed":    {"Пропущен", "Missed"},
	"recent.callback":  {"Перезвонить", "Call back"},
	"recent.call":      {"Позвонить", "Call"},
	"recent.hidden":    {"Номер скрыт", "Number withheld"},

	"keys.title":  {"Клавиши", "Keyboard shortcuts"},
	"keys.dial":   {"набрать номер", "dial a number"},
	"keys.open":   {"открыть клиента в CRM", "open the client in the CRM"},
	"keys.next":   {"следующий и предыдущий звонок", "next and previous call"},
	"keys.call":   {"перезвонить выбранному", "call the selected one"},
	"keys.dnd":    {"«Не беспокоить»", "do not disturb"},
	"keys.sound":  {"звук звонка", "ring sound"},
	"keys.close":  {"убрать завершённую карточку", "put away a finished card"},
	"keys.help":   {"эта подсказка", "this list"},
	"keys.done":   {"Закрыть", "Close"},
	"keys.layout": {"Работают и в русской раскладке; пока вы печатаете — выключены.", "They work in any layout and are off while you type."},
	"keys.off":    {"Выключить клавиши", "Turn shortcuts off"},

	"js.ringing":            {"Звонит", "Ringing"},
	"js.pickup":             {"Снимите трубку", "Pick up your phone"},
	"js.stale":              {"{crm} не отвечает, показано то, что мы знали раньше", "{crm} does not answer, this is what we knew before"},
	"js.dialling":           {"Вызов", "Calling"},
	"js.talking":            {"Разговор", "Talking"},
	"js.held":               {"На удержании", "On hold"},
	"js.ended":              {"Завершён", "Ended"},
	"js.in":                 {"Входящий", "Incoming"},
	"js.out":                {"Исходящий", "Outgoing"},
	"js.internal":           {"Внутренний", "Internal"},
	"js.hidden":             {"Номер скрыт", "Number withheld"},
	"js.new_client":         {"Новый клиент", "New client"},
	"js.not_in_crm":         {"Нет в CRM", "Not in the CRM"},
	"js.several":            {"С этим номером несколько клиентов: {n}. Показан выбранный по правилу.", "{n} clients have this number. The one chosen by rule is shown."},
	"js.unnamed":            {"без имени", "unnamed"},
	"js.trouble":            {"{crm} не отвечает, данных о клиенте пока нет", "{crm} does not answer, no client data yet"},
	"js.busy":               {"С клиентом уже разговаривает {who}", "{who} is already on the phone with this client"},
	"js.from":               {"Передаёт {who}", "Transferred by {who}"},
	"js.colleague":          {"Звонит коллега", "A colleague calls"},
	"js.line":               {"Линия", "Line"},
	"js.source":             {"Источник", "Source"},
	"js.queue":              {"Очередь", "Queue"},
	"js.responsible":        {"Ответственный", "Responsible"},
	"js.you":                {"вы", "you"},
	"js.also_rings":         {"Звонит также у", "Also rings at"},
	"js.also_talks":         {"В разговоре", "In the call"},
	"js.deals":              {"Открытые сделки", "Open deals"},
	"js.last":               {"Прошлые звонки", "Earlier calls"},
	"js.open":               {"Открыть в {crm}", "Open in {crm}"},
	"js.copy":               {"Скопировать номер", "Copy the number"},
	"js.copied":             {"Скопировано", "Copied"},
	"js.close":              {"Убрать", "Put away"},
	"js.callback":           {"Перезвонить", "Call back"},
	"js.answered":           {"разговор", "talked"},
	"js.missed":             {"пропущен", "missed"},
	"js.failed":             {"не дозвонились", "not reached"},
	"js.yesterday":          {"вчера", "yesterday"},
	"js.online":             {"На связи", "Connected"},
	"js.connecting":         {"Соединение…", "Connecting…"},
	"js.offline":            {"Нет связи с сервером", "No connection to the server"},
	"js.calls_title":        {"{who} звонит", "{who} is calling"},
	"js.announce_ring":      {"Звонит {who}", "{who} is calling"},
	"js.announce_elsewhere": {"Звонок принял коллега", "A colleague took the call"},
	"js.announce_missed":    {"Звонок пропущен", "Missed call"},
	"js.announce_ended":     {"Разговор завершён", "The call has ended"},
	"js.dialling_you":       {"Сейчас зазвонит ваш телефон — снимите трубку.", "Your phone will ring now — pick it up."},
	"js.not_number":         {"Это не похоже на номер телефона.", "This does not look like a phone number."},
	"js.empty_number":       {"Введите номер.", "Enter a number."},
	"js.network":            {"Сервер не ответил. Попробуйте ещё раз: второй раз телефон не зазвонит.", "The server did not answer. Try again: your phone will not ring twice."},
	"js.notify_on":          {"Уведомления включены", "Notifications are on"},
	"js.notify_denied":      {"Уведомления запрещены в браузере", "Notifications are blocked in the browser"},
	"js.sound_on":           {"Звук включён", "Sound is on"},
	"js.sound_off":          {"Звук выключен", "Sound is off"},
	"js.dnd_on":             {"«Не беспокоить» включено", "Do not disturb is on"},
	"js.dnd_off":            {"«Не беспокоить» выключено", "Do not disturb is off"},
	"js.keys_on":            {"Включить клавиши", "Turn shortcuts on"},
	"js.keys_off":           {"Выключить клавиши", "Turn shortcuts off"},

	"console.overview":     {"Обзор", "Overview"},
	"console.calls":        {"Звонки", "Calls"},
	"console.deliveries":   {"Доставка", "Deliveries"},
	"console.ledger":       {"Сверка", "Ledger"},
	"console.call":         {"Звонок", "Call"},
	"console.live":         {"Сейчас", "Now"},
	"console.live.none":    {"Никто не разговаривает", "Nobody is on the phone"},
	"console.recent":       {"Последние звонки", "Recent calls"},
	"console.none":         {"Ничего не найдено", "Nothing found"},
	"console.more":         {"Более ранние", "Earlier"},
	"console.newest":       {"К новым", "Newest"},
	"console.filter":       {"Показать", "Show"},
	"console.all":          {"все", "all"},
	"console.pbx":          {"АТС", "PBX"},
	"console.integrations": {"CRM", "CRM"},
	"console.agents":       {"Рабочих мест", "Workplaces"},
	"console.connected":    {"на связи", "connected"},
	"console.lost":         {"нет связи", "not connected"},
	"console.last":         {"последнее событие", "last event"},
	"console.waiting":      {"ждут", "waiting"},
	"console.held":         {"удержано", "held"},
	"console.failed":       {"отказ", "failed"},
	"console.balanced":     {"Сверка сходится", "The ledger balances"},
	"console.unbalanced":   {"Сверка не сходится: {n}", "The ledger does not balance: {n}"},
	"console.notready":     {"Не готов принимать звонки", "Not ready to take calls"},
	"console.started":      {"Начало", "Start"},
	"console.direction":    {"Направление", "Direction"},
	"console.client":       {"Клиент", "Client"},
	"console.line":         {"Линия", "Line"},
	"console.who":          {"Сотрудник", "Employee"},
	"console.outcome":      {"Итог", "Outcome"},
	"console.wait":         {"Ожидание", "Wait"},
	"console.talk":         {"Разговор", "Talk"},
	"console.queue":        {"Очередь", "Queue"},
	"console.ended":        {"Конец", "End"},
	"console.hungup":       {"Положил трубку", "Hung up by"},
	"console.cause":        {"Код Q.850", "Q.850 cause"},
	"console.transfers":    {"Переводы", "Transfers"},
	"console.recordings":   {"Записи", "Recordings"},
	"console.gaps":         {"Пропуски наблюдения", "Gaps"},
	"console.gap":          {"Связи с АТС не было", "The PBX could not be seen"},
	"console.legs":         {"Телефоны", "Phones"},
	"console.rang":         {"Зазвонил", "Rang"},
	"console.answered":     {"Ответил", "Answered"},
	"console.finished":     {"Закончил", "Ended"},
	"console.result":       {"Результат", "Result"},
	"console.story":        {"События", "Events"},
	"console.delivered":    {"Что сделано в CRM", "What was done in the CRM"},
	"console.shown":        {"Кому показана карточка", "Who saw the card"},
	"console.shown.none":   {"Ни один браузер не подтвердил показ", "No browser confirmed a card"},
	"console.hiddentab":    {"вкладка в фоне", "tab in the background"},
	"console.action":       {"Действие", "Action"},
	"console.integration":  {"Интеграция", "Integration"},
	"console.state":        {"Состояние", "State"},
	"console.reason":       {"Почему", "Why"},
	"console.object":       {"Объект", "Object"},
	"console.attempts":     {"Попытки", "Attempts"},
	"console.when":         {"Когда", "When"},
	"console.next":         {"следующая попытка", "next attempt"},
	"console.day":          {"День", "Day"},
	"console.planned":      {"Задумано", "Planned"},
	"console.imbalance":    {"Разница", "Difference"},
	"console.equation":     {"Задумано = сделано + ждут + в работе + удержано + не нужно + отказ + просрочено. Разница должна быть нулевой.", "Planned = done + waiting + trying + held + skipped + failed + expired. The difference must be zero."},
	"console.request":      {"Запрос", "Request"},
	"console.response":     {"Ответ", "Answer"},
	"console.from":         {"с", "from"},
	"console.to":           {"по", "to"},
	"console.rule":         {"правило", "rule"},
	"console.ms":           {"мс", "ms"},
	"console.back":         {"К звонкам", "Back to calls"},

	"direction.in":       {"Входящий", "Incoming"},
	"direction.out":      {"Исходящий", "Outgoing"},
	"direction.internal": {"Внутренний", "Internal"},
	"direction.":         {"—", "—"},

	"outcome.answered": {"Отвечен", "Answered"},
	"outcome.missed":   {"Пропущен", "Missed"},
	"outcome.failed":   {"Не состоялся", "Failed"},
	"outcome.":         {"Идёт", "Live"},

	"side.client": {"клиент", "the client"},
	"side.agent":  {"сотрудник", "the employee"},
	"side.pbx":    {"АТС", "the PBX"},
	"side.":       {"", ""},

	"reason.":                   {"", ""},
	"reason.caller_hung_up":     {"Клиент не дождался", "The caller hung up"},
	"reason.abandoned_ivr":      {"Положил трубку в меню", "Left in the menu"},
	"reason.abandoned_queue":    {"Положил трубку в очереди", "Left in the queue"},
	"reason.no_answer":          {"Никто не ответил", "No answer"},
	"reason.busy":               {"Занято", "Busy"},
	"reason.rejected":           {"Отклонён", "Rejected"},
	"reason.unavailable":        {"Телефон недоступен", "Unavailable"},
	"reason.voicemail":          {"Голосовая почта", "Voicemail"},
	"reason.blocked_by_pbx":     {"Отклонён АТС", "Blocked by the PBX"},
	"reason.bad_number":         {"Неверный номер", "Wrong number"},
	"reason.congestion":         {"Линия перегружена", "Congestion"},
	"reason.cancelled_by_agent": {"Вы отменили", "Cancelled"},
	"reason.agent_no_answer":    {"Сотрудник не снял трубку", "The employee did not pick up"},
	"reason.agent_rejected":     {"Сотрудник отклонил", "The employee rejected it"},
	"reason.pbx_restarted":      {"АТС перезапущена", "The PBX restarted"},
	"reason.unknown":            {"Не состоялся", "Not reached"},

	"result.":                   {"", ""},
	"result.answered":           {"ответил", "answered"},
	"result.no_answer":          {"не ответил", "no answer"},
	"result.busy":               {"занято", "busy"},
	"result.rejected":           {"отклонил", "rejected"},
	"result.unavailable":        {"недоступен", "unavailable"},
	"result.answered_elsewhere": {"ответил коллега", "answered elsewhere"},
	"result.cancelled":          {"отменён", "cancelled"},
	"result.forwarded":          {"переадресован", "forwarded"},

	"delivery.done":    {"Сделано", "Done"},
	"delivery.waiting": {"Ждёт", "Waiting"},
	"delivery.trying":  {"В работе", "Trying"},
	"delivery.held":    {"Удержано", "Held"},
	"delivery.skipped": {"Не нужно", "Skipped"},
	"delivery.failed":  {"Отказ", "Failed"},
	"delivery.expired": {"Просрочено", "Expired"},

	"action.popup":         {"Окно звонка в CRM", "Call window in the CRM"},
	"action.contact":       {"Контакт", "Contact"},
	"action.fields":        {"Поля клиента", "Client’s fields"},
	"action.call":          {"Запись о звонке", "Call record"},
	"action.communication": {"Коммуникация", "Communication"},
	"action.task":          {"Дело", "Task"},
	"action.process":       {"Процесс", "Process"},
	"action.owner":         {"Ответственный за контакт", "Contact’s responsible"},

	"integration.active":   {"работает", "active"},
	"integration.inactive": {"выключена", "inactive"},
	"integration.held":     {"остановлена: доступ отклонён", "held: credentials refused"},
	"integration.slowed":   {"CRM просит подождать", "told to slow down"},

	"time.yesterday": {"вчера", "yesterday"},

	"error.title":             {"Не получилось", "That did not work"},
	"error.home":              {"На главную", "Home"},
	"error.internal":          {"Внутренняя ошибка. Мы записали её в журнал.", "Internal error. It was written to the log."},
	"error.not_found":         {"Такого здесь нет.", "There is no such thing here."},
	"error.sign_in":           {"Нужно войти.", "Sign in first."},
	"error.not_allowed":       {"Для этого нужны права администратора или руководителя.", "This needs the rights of an administrator or supervisor."},
	"error.csrf":              {"Страница устарела. Обновите её и попробуйте ещё раз.", "The page is out of date. Reload it and try again."},
	"error.cross_origin":      {"Запрос пришёл с чужого сайта.", "The request came from another site."},
	"error.slow":              {"Сервер сейчас перегружен. Попробуйте через минуту.", "The server is overloaded. Try again in a minute."},
	"error.too_long":          {"Слишком длинный запрос.", "The request is too long."},
	"error.not_json":          {"Тело запроса — не JSON.", "The body is not JSON."},
	"error.wrong_type":        {"Значение не того типа.", "The value has a wrong type."},
	"error.unknown_field":     {"Такого поля нет.", "There is no such field."},
	"error.missing":           {"Значение не указано.", "The value is missing."},
	"error.bad_value":         {"Такого значения нет.", "There is no such value."},
	"error.bad_limit":         {"От 1 до 500.", "From 1 to 500."},
	"error.bad_key":           {"Это не ключ страницы.", "This is no page key."},
	"error.bad_time":          {"Нужно время RFC 3339 или день ГГГГ-ММ-ДД.", "A time in RFC 3339 or a day YYYY-MM-DD is needed."},
	"error.bad_day":           {"Нужен день в виде ГГГГ-ММ-ДД.", "A day as YYYY-MM-DD is needed."},
	"error.bad_request_id":    {"До 64 печатных знаков без пробелов.", "Up to 64 printable characters without spaces."},
	"error.wrong_password":    {"Логин или пароль не подходят.", "Login or password do not fit."},
	"error.too_many_attempts": {"Слишком много попыток. Подождите минуту.", "Too many attempts. Wait a minute."},
	"error.wrong_secret":      {"Секрет не подходит.", "The secret does not fit."},
	"error.no_extension":      {"За вами не закреплён внутренний номер.", "No extension is assigned to you."},
	"error.not_your_phone":    {"Это не ваш телефон.", "This is not your phone."},
	"error.no_dialer":         {"Эта АТС не умеет звонить по клику.", "This PBX cannot place calls by a click."},
	"error.no_presence":       {"Эта АТС не знает режима «Не беспокоить».", "This PBX knows no do-not-disturb."},
	"error.no_phone":          {"Ваш телефон не подключён к АТС. Проверьте его и попробуйте ещё раз.", "Your phone is not registered at the PBX. Check it and try again."},
	"error.unknown_number":    {"Это не похоже на номер телефона.", "This does not look like a phone number."},
	"error.do_not_disturb":    {"У вас включено «Не беспокоить». Выключите его, чтобы позвонить.", "Do not disturb is on. Turn it off to call."},
	"error.busy":              {"Ваш телефон занят.", "Your phone is busy."},
	"error.client_busy":       {"С этим клиентом уже разговаривает коллега.", "A colleague is already on the phone with this client."},
	"error.pbx_unreachable":   {"АТС не отвечает. Попробуйте через минуту.", "The PBX does not answer. Try again in a minute."},
	"error.unknown_extension": {"Такого внутреннего номера нет.", "There is no such extension."},
}
