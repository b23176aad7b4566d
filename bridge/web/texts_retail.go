package web

// retailTexts are those of joining employees by hand, of the ledger's repair,
// and of integrations in trouble.
var retailTexts = map[string][2]string{
	"integration.failing":        {"CRM не отвечает", "the CRM fails"},
	"switch.failing":             {"Ничего не потеряется: повторяем сами, всё реже, и отправим, как только CRM ответит.", "Nothing is lost: it is tried again by itself and sent as soon as the CRM answers."},
	"staff.group":                {"Предлагаются только работающие пользователи группы", "Only active users of this group are offered:"},
	"staff.link":                 {"Внутренний номер у нас", "Extension here"},
	"staff.link.none":            {"не связан", "not joined"},
	"staff.link.save":            {"Сохранить связи", "Save the joins"},
	"staff.linked":               {"Связи сохранены.", "The joins are saved."},
	"staff.by.hand":              {"вручную", "by hand"},
	"staff.by.email":             {"предложено по e-mail", "suggested by e-mail"},
	"staff.by.name":              {"предложено по имени", "suggested by name"},
	"staff.senior":               {"Старший менеджер", "Senior manager"},
	"staff.senior.help":          {"Ему достаётся всё, для чего не нашлось другого ответственного.", "Gets everything for which nobody else is responsible."},
	"staff.senior.none":          {"не назначен", "nobody"},
	"staff.notoffered":           {"не предлагается", "not offered"},
	"staff.changes":              {"Что изменилось в CRM", "What changed in the CRM"},
	"error.senior_needs_email":   {"У старшего менеджера в CRM должен быть e-mail:", "The senior manager needs an e-mail in the CRM:"},
	"error.crm_keeps_extensions": {"Внутренние номера хранит сама CRM: связывайте сотрудников в её настройках телефонии.", "The CRM itself keeps the extensions: join employees in its telephony settings."},
}
