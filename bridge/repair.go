package bridge

import (
	"maps"
	"slices"
	"strings"
)

// Repair is what an admin corrects in a parked action before it is tried again.
// nil leaves a part as it is.
type Repair struct {
	Title       *string           `json:"title,omitempty"`
	Text        *string           `json:"text,omitempty"`
	Responsible *string           `json:"responsible,omitempty"` // a word such as default, or an e-mail
	Scheme      *string           `json:"scheme,omitempty"`
	Due         *Duration         `json:"due,omitempty"`
	Fields      map[string]string `json:"fields,omitempty"` // CRM field to template; "" takes the field out
}

// Empty says that nothing is corrected.
func (r Repair) Empty() bool {
	return r.Title == nil && r.Text == nil && r.Responsible == nil && r.Scheme == nil && r.Due == nil && len(r.Fields) == 0
}

// Apply returns the corrected action and what was corrected, for the ledger.
// Its key, kind and rule stay: it is the same action.
func (r Repair) Apply(a Action) (Action, []string) {
	var what []string
	set := func(name string, to *string, from *string) {
		if to != nil && *to != *from {
			what = append(what, name)
			*from = *to
		}
	}
	set("title", r.Title, &a.Title)
	set("text", r.Text, &a.Text)
	set("responsible", r.Responsible, &a.Responsible)
	set("scheme", r.Scheme, &a.Scheme)
	if r.Due != nil && *r.Due != a.Due {
		what = append(what, "due")
		a.Due = *r.Due
	}
	a.Fields = maps.Clone(a.Fields)
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		v := r.Fields[name]
		if old, has := a.Fields[name]; has && old == v || !has && v == "" {
			continue
		}
		what = append(what, "field "+name)
		if v == "" {
			delete(a.Fields, name)
			continue
		}
		if a.Fields == nil {
			a.Fields = map[string]string{}
		}
		a.Fields[name] = v
	}
	return a, what
}

// Advice says what somebody can do about a delivery that is not done: in
// Russian and in English, "" if there is nothing to do.
func (d *Delivery) Advice() (ru, en string) {
	switch d.State {
	case Waiting, Trying:
		if d.Error == "" {
			return "", ""
		}
		return "Ничего делать не нужно: попытка повторится сама.", "Nothing needs to be done: it is tried again by itself."
	case Held:
		switch d.ErrorKind {
		case "forbidden":
			return "Дайте в CRM недостающее право и нажмите «Проверить доступ» на странице интеграции: удержанное уйдёт само.",
				"Give the missing right in the CRM, then press “Check access” on the integration's page: what is held goes out by itself."
		}
		return "Исправьте доступ в настройках, если CRM его не принимает, и включите интеграцию с галочкой «Отправить данные в CRM».",
			"Correct the credentials if the CRM refuses them, then activate the integration with the box “send data to the CRM”."
	case Expired:
		return "Звонок старше, чем отправляется после повторной активации. Его можно отправить сейчас: «Повторить».",
			"The call is older than what a reactivation sends. It can be sent now: “Retry”."
	case Refused:
		switch d.ErrorKind {
		case "invalid":
			return "CRM не приняла данные: прочитайте её ответ ниже, исправьте названное (ответственного, текст, поле, схему) здесь или в правилах и повторите.",
				"The CRM refuses the data: read its answer below, correct what it names (responsible, text, field, scheme) here or in the rules, and retry."
		case "gone":
			return "Того, на что ссылается действие, в CRM больше нет. «Повторить» найдёт или создаст клиента заново.",
				"What the action points to is no longer in the CRM. “Retry” looks for the client anew, or makes him."
		}
		return "CRM слишком долго не отвечала. Когда она снова работает, нажмите «Повторить»: сначала проверим, не сделано ли уже.",
			"The CRM did not answer for too long. Once it works, press “Retry”: what was carried out already is looked up first."
	}
	return "", ""
}

// RepairNote is what the ledger says after a correction.
func RepairNote(by string, what []string) string {
	return "corrected by " + by + ": " + strings.Join(what, ", ")
}
