package web

import "regexp"

func sentence(english, russian string) translation {
	return translation{regexp.MustCompile("^" + english + "$"), russian}
}

// troubleNotes are why an integration takes nothing, in Russian.
var troubleNotes = []translation{
	sentence(`the CRM refuses the credentials: held until the integration is activated again`, "CRM не принимает доступ (логин, пароль или ключ): ждёт, пока интеграцию снова не включат"),
	sentence(`the CRM refuses the credentials: held until the integration is activated again, and a pop-up later would be of no use`, "CRM не принимает доступ, а всплывающая карточка потом уже не нужна"),
	sentence(`corrected by (.+?): (.*)`, "исправлено (%s): %s"),
	sentence(`skipped by (.+?): (.*)`, "снято вручную (%s): %s"),
	sentence(`skipped by (.+)`, "снято вручную (%s)"),
	sentence(`the CRM does not answer`, "CRM не отвечает"),
	sentence(`the CRM answers every request with (.*)`, "CRM на каждый запрос отвечает: %s"),
}

// staffNotes are what the match of employees says, in Russian.
var staffNotes = []translation{
	sentence(`two users of the CRM share the e-mail (\S+) \(ids (\S+) and (\S+)\); the first is used`, "у двух пользователей CRM один e-mail %s (id %s и %s); берётся первый"),
	sentence(`extension (\S+) belongs to two users of the CRM \(ids (\S+) and (\S+)\); the first is used`, "внутренний номер %s у двух пользователей CRM (id %s и %s); берётся первый"),
	sentence(`extension (\S+): no active user of the CRM has the e-mail (\S+)`, "внутренний номер %s: в CRM нет работающего пользователя с e-mail %s"),
	sentence(`extension (\S+): (\S+) is not listed in the CRM's telephony settings`, "внутренний номер %s: %s не указан в настройках телефонии CRM"),
	sentence(`(\S+) has extension (\S+) here and (\S+) in the CRM's telephony settings; the CRM's is used`, "у %s внутренний номер здесь %s, а в телефонии CRM %s; действует тот, что в CRM"),
	sentence(`extension (\S+): the e-mail is (\S+) here and (\S+) in the CRM; it stays joined to user (\S+)`, "внутренний номер %s: e-mail здесь %s, а в CRM %s; связь с пользователем %s остаётся"),
	sentence(`extension (\S+): (.*) \(id (\S+)\) does not work there any more; what was his goes to the default responsible`, "внутренний номер %s: %s (id %s) там больше не работает; его дела достаются ответственному по умолчанию"),
	sentence(`extension (\S+): (\S+) is not in the CRM's group (.*), so he is not joined`, "внутренний номер %s: %s не в группе «%s» в CRM, поэтому не связан"),
	sentence(`extension (\S+): (.*) is not in the CRM's group (.*) any more; he stays joined`, "внутренний номер %s: %s больше не в группе «%s» в CRM; связь остаётся"),
	sentence(`extension (\S+) is joined by hand, but the CRM keeps extensions in its telephony settings; only those count`, "внутренний номер %s связан вручную, но номера хранит телефония CRM: действуют только они"),
	sentence(`extension (\S+): user (\S+) of the CRM has the e-mail (\S+), but is joined to extension (\S+) by hand`, "внутренний номер %s: у пользователя CRM %s e-mail %s, но он вручную связан с номером %s"),
	sentence(`extension (\S+): the CRM does not list user (\S+), to whom it is joined by hand`, "внутренний номер %s: в CRM нет пользователя %s, с которым он связан вручную"),
	sentence(`user (\S+) of the CRM is joined to extension (\S+) and to (\S+) by hand; the first is used`, "пользователь CRM %s вручную связан с номерами %s и %s; берётся первый"),
	sentence(`the senior manager \(default responsible\) (\S+) is no active user of the CRM`, "старшего менеджера (ответственного по умолчанию) %s нет среди работающих пользователей CRM"),
	sentence(`empty`, "пусто"),
	sentence(`(.* \(id \S+\)) is new`, "%s: новый"),
	sentence(`(.* \(id \S+\)) does not work there any more`, "%s: больше не работает"),
	sentence(`(.* \(id \S+\)) works there again`, "%s: снова работает"),
	sentence(`(.* \(id \S+\)): the e-mail was (\S+), now (\S+)`, "%s: e-mail был %s, стал %s"),
	sentence(`(.* \(id \S+\)): the name was (.*)`, "%s: раньше имя было %s"),
	sentence(`(.* \(id \S+\)): the extension was (\S+), now (\S+)`, "%s: внутренний номер был %s, стал %s"),
	sentence(`(.* \(id \S+\)) left the managers' group`, "%s: больше не в группе менеджеров"),
	sentence(`(.* \(id \S+\)) joined the managers' group`, "%s: теперь в группе менеджеров"),
	sentence(`(.* \(id \S+\)) is not in the list any more`, "%s: больше нет в списке"),
}
