package rules

import "callbridge/bridge"

// words is the one place with the names of our closed lists for people.
var words = map[string][2]string{ // code → en, ru
	"in":       {"inbound", "входящий"},
	"out":      {"outbound", "исходящий"},
	"internal": {"internal", "внутренний"},

	"answered": {"answered", "состоялся"},
	"missed":   {"missed", "пропущен"},
	"failed":   {"not reached", "не дозвонились"},

	"caller_hung_up":     {"the caller hung up", "звонивший положил трубку"},
	"abandoned_ivr":      {"the caller gave up in the voice menu", "звонивший не дождался в голосовом меню"},
	"abandoned_queue":    {"the caller gave up in the queue", "звонивший не дождался в очереди"},
	"no_answer":          {"no answer", "не ответили"},
	"busy":               {"busy", "занято"},
	"rejected":           {"rejected", "отклонён"},
	"unavailable":        {"no phone available", "телефон недоступен"},
	"voicemail":          {"went to voicemail", "ушёл на голосовую почту"},
	"blocked_by_pbx":     {"blocked by the PBX", "заблокирован АТС"},
	"bad_number":         {"wrong number", "неверный номер"},
	"congestion":         {"network trouble", "сбой связи"},
	"cancelled_by_agent": {"cancelled by the employee", "отменён сотрудником"},
	"agent_no_answer":    {"the employee did not pick up", "сотрудник не снял трубку"},
	"agent_rejected":     {"the employee rejected it", "сотрудник отклонил звонок"},
	"pbx_restarted":      {"the PBX restarted", "АТС перезапустилась"},
	"unknown":            {"unknown", "неизвестно"},
	"none":               {"none", "нет"},

	"answer":         {"answer", "ответ"},
	"default":        {"default responsible", "по умолчанию"},
	"talked":         {"last who talked", "кто говорил последним"},
	"last_talked":    {"last who talked", "кто говорил последним"},
	"first_talked":   {"first who talked", "кто говорил первым"},
	"longest_talked": {"who talked longest", "кто говорил дольше всех"},
	"manager":        {"personal manager", "персональный менеджер"},
	"contact":        {"responsible of the contact", "ответственный за контакт"},
}

// word returns a code in a language (ru, else English), unknown ones as they are.
func word(code, lang string) string {
	w, ok := words[code]
	switch {
	case !ok:
		return code
	case lang == "ru":
		return w[1]
	}
	return w[0]
}

// DirectionWord names a direction for people.
func DirectionWord(d bridge.Direction, lang string) string { return word(string(d), lang) }

// OutcomeWord names an outcome for people; "" (the call lives) stays "".
func OutcomeWord(o bridge.Outcome, lang string) string { return word(string(o), lang) }

// ReasonWord names a reason for people; "" stays "".
func ReasonWord(r bridge.Reason, lang string) string { return word(string(r), lang) }

// ResponsibleWord names who becomes responsible, for people; an e-mail stays.
func ResponsibleWord(code, lang string) string { return word(code, lang) }
