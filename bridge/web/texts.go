package web

import "maps"

// texts holds every text people see: Russian, English. The parts stand beside
// the pages they belong to.
var texts = union(baseTexts, consoleTexts, routeTexts)

func union(parts ...map[string][2]string) map[string][2]string {
	out := map[string][2]string{}
	for _, p := range parts {
		maps.Copy(out, p)
	}
	return out
}

// consoleTexts are those of the console.
var consoleTexts = map[string][2]string{
	"plot.calls.day":    {"Звонки за 24 часа", "Calls of 24 hours"},
	"plot.calls.week":   {"Звонки за 7 дней", "Calls of 7 days"},
	"plot.slot.day":     {"Час", "Hour"},
	"plot.slot.week":    {"День", "Day"},
	"plot.missed":       {"Пропущенные и возвращённые", "Missed and returned"},
	"plot.missed.note":  {"клиентов ещё ждут обратного звонка", "clients still wait for a call back"},
	"plot.returned":     {"С клиентом уже поговорили", "Somebody has talked to them"},
	"plot.open":         {"Ждут звонка", "Waiting for a call"},
	"plot.wait":         {"Сколько ждали ответа", "How long they waited"},
	"plot.wait.note":    {"входящих отвечены за 20 секунд", "of inbound calls answered within 20 seconds"},
	"plot.talked":       {"Ответили", "Answered"},
	"plot.gaveup":       {"Не дождались", "Gave up"},
	"plot.latency":      {"Карточка на экране", "Card on the screen"},
	"plot.latency.note": {"после события АТС; 95 % — до {p95} мс, 99 % — до {p99} мс", "after the PBX’s event; 95 % within {p95} ms, 99 % within {p99} ms"},
	"plot.cards":        {"Карточек", "Cards"},
	"plot.ledger":       {"Доставка за 7 дней", "Deliveries of 7 days"},
	"plot.ledger.note":  {"сделано в CRM", "done in the CRM"},
	"plot.number":       {"Число", "Number"},
	"plot.none":         {"За это время ничего не было", "Nothing happened in this time"},
	"plot.s":            {"с", "s"},
	"plot.min":          {"мин", "min"},
	"plot.table":        {"Числами", "In numbers"},
	"plot.period":       {"За какое время", "Which time"},
	"plot.day":          {"24 часа", "24 hours"},
	"plot.week":         {"7 дней", "7 days"},

	"calls.all":        {"Все звонки", "All calls"},
	"calls.number":     {"Номер или его часть", "Number or a part of it"},
	"calls.person":     {"Сотрудник", "Employee"},
	"calls.day":        {"День", "Day"},
	"calls.clear":      {"Сбросить", "Clear"},
	"calls.none":       {"Звонков пока нет. Как только АТС сообщит о первом, он появится здесь.", "No calls yet. The first one the PBX reports shows up here."},
	"calls.found.none": {"Под эти условия не подходит ни один звонок.", "No call fits this search."},
	"calls.search":     {"Поиск", "Search"},
}
