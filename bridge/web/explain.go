package web

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/rules"
)

// Why writes a reason of the rules, or a note of delivery, in the reader's
// language. What it does not know stays as it is.
func (l lang) Why(text string) string {
	if l != ru || text == "" {
		return text
	}
	if t := rules.Explain(text, "ru"); t != text {
		return t
	}
	parts := strings.Split(text, "; ")
	for i, p := range parts {
		parts[i] = note(p)
	}
	return strings.Join(parts, "; ")
}

// note translates one note of delivery.
func note(text string) string {
	if t := rules.Explain(text, "ru"); t != text {
		return t
	}
	for _, n := range slices.Concat(notes, routeNotes, staffNotes, troubleNotes) {
		m := n.is.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		args := make([]any, len(m)-1)
		for i, a := range m[1:] {
			args[i] = note(a)
		}
		return fmt.Sprintf(n.ru, args...)
	}
	return text
}

// translation is an English sentence with its facts, and the Russian one.
type translation struct {
	is *regexp.Regexp
	ru string
}

// notes are what delivery and the ledger write beside a row, in Russian.
var notes = []translation{
	{regexp.MustCompile(`^the integration is off$`), "интеграция выключена"},
	{regexp.MustCompile(`^the integration is off, and a pop-up later would be of no use$`), "интеграция выключена, а всплывающая карточка потом уже не нужна"},
	{regexp.MustCompile(`^switched off by hand$`), "выключено вручную"},
	{regexp.MustCompile(`^credentials refused: held until the integration is active again$`), "доступ отклонён: ждёт, пока интеграция снова не заработает"},
	{regexp.MustCompile(`^a right is missing in the CRM: (.*)$`), "в CRM не хватает права: %s"},
	{regexp.MustCompile(`^a right is missing$`), "не хватает права"},
	{regexp.MustCompile(`^gave up after (\d+) attempts in (\d+) days$`), "после %s попыток за %s дн. повторы прекращены"},
	{regexp.MustCompile(`^responsible: the contact's own$`), "ответственный: тот же, что у контакта"},
	{regexp.MustCompile(`^responsible: the personal manager$`), "ответственный: персональный менеджер"},
	{regexp.MustCompile(`^responsible: (.*)$`), "ответственный: %s"},
	{regexp.MustCompile(`^none of the fields has a value for this call$`), "ни у одного поля нет значения для этого звонка"},
	{regexp.MustCompile(`^the number is withheld or no public one: there is nothing to make a contact of$`), "номер скрыт или не является городским или мобильным: создавать контакт не из чего"},
	{regexp.MustCompile(`^the open process (.*) is used instead of a new one$`), "вместо нового взят открытый процесс %s"},
	{regexp.MustCompile(`^there is no contact to write into$`), "нет контакта, в который писать"},
	{regexp.MustCompile(`^too late: the call is over$`), "поздно: звонок уже завершён"},
	{regexp.MustCompile(`^too late: the call was (\d+) s ago$`), "поздно: звонок был %s с назад"},
	{regexp.MustCompile(`^was already there$`), "уже было в CRM"},
	{regexp.MustCompile(`^the client is in the CRM already$`), "клиент уже есть в CRM"},
	{regexp.MustCompile(`^(\d+) contacts have this number; the oldest, (.*), is used$`), "с этим номером контактов: %s; взят самый старый, %s"},
	{regexp.MustCompile(`^(\d+) contacts have this number$`), "с этим номером контактов: %s"},
	{regexp.MustCompile(`^the oldest, (.*), is used$`), "взят самый старый, %s"},
	{regexp.MustCompile(`^the rule wants a known client, but (.*)$`), "правило для известных клиентов, но %s"},
	{regexp.MustCompile(`^the rule wants a new client, but (.*)$`), "правило для новых клиентов, но %s"},
	{regexp.MustCompile(`^no contact has the number$`), "контакта с этим номером нет"},
	{regexp.MustCompile(`^contact (\S+) was made for this call$`), "контакт %s создан по этому же звонку"},
	{regexp.MustCompile(`^contact (\S+) has the number$`), "номер есть у контакта %s"},
}

// Span writes how long something took. What is below a second is told in
// tenths: 0:00 would say that nothing happened.
func (l lang) Span(ms *int64) string {
	if ms == nil {
		return ""
	}
	return l.Length(time.Duration(*ms) * time.Millisecond)
}

// Length is Span for a duration.
func (l lang) Length(d time.Duration) string {
	if d <= 0 || d >= 950*time.Millisecond {
		return length(d)
	}
	tenths := max(1, (d+50*time.Millisecond)/(100*time.Millisecond))
	if l == en {
		return fmt.Sprintf("0.%d s", tenths)
	}
	return fmt.Sprintf("0,%d с", tenths)
}

// shortID writes the id of an object in a CRM. Where a CRM knows objects by the
// key we gave, only the part that differs within a call is worth reading; the
// whole one stands in the title.
func shortID(id string) string {
	if rest, ok := strings.CutPrefix(id, "callbridge:"); ok {
		if _, name, ok := strings.Cut(rest, ":"); ok {
			id = name
		}
	}
	if r := []rune(id); len(r) > 20 {
		id = string(r[:9]) + "…" + string(r[len(r)-8:])
	}
	return id
}

// noteOf is the note of a row, unless it only repeats the reason.
func noteOf(d bridge.Delivery) string {
	if d.Note == d.Action.Reason {
		return ""
	}
	return d.Note
}
