package rules

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// A sentence is a reason in both languages; %s stands for a fact. Actions keep
// the English one, Explain gives the other.
type sentence struct{ en, ru string }

// unknownLine stands for a call whose line the PBX did not tell.
const unknownLine = "an unknown line"

var (
	notOurLine      = sentence{"the call came over %s, which is not among the lines of this integration", "звонок пришёл через %s, а этой линии нет среди линий интеграции"}
	internalUnnamed = sentence{"it is an internal call, and no rule names internal calls", "это внутренний звонок, и ни одно правило не называет внутренние звонки"}

	popupOff      = sentence{"pop-ups in the CRM are switched off", "всплывающие карточки в CRM выключены"}
	popupInternal = sentence{"an internal call shows no client", "во внутреннем звонке нет клиента"}
	popupWithheld = sentence{"the client's number is withheld or no public one, so the CRM's window cannot show him", "номер клиента скрыт или не является городским или мобильным, окно CRM не может его показать"}
	popupNobody   = sentence{"no phone rang, so there is no window to close", "ни один телефон не звонил, закрывать нечего"}
	popupRing     = sentence{"the phone %s rings", "звонит телефон %s"}
	popupAnswer   = sentence{"the phone %s answered", "ответил телефон %s"}
	popupHold     = sentence{"the phone %s put the client on hold or took him back", "телефон %s поставил клиента на удержание или снял с него"}
	popupStop     = sentence{"the phone %s has stopped ringing", "телефон %s перестал звонить"}
	popupEnd      = sentence{"the call is over", "звонок завершён"}

	contactOff      = sentence{"making contacts on calls is switched off", "создание контактов по звонкам выключено"}
	contactInternal = sentence{"an internal call has no client", "во внутреннем звонке нет клиента"}
	contactWithheld = sentence{"the client's number is withheld or no public one", "номер клиента скрыт или не является городским или мобильным"}
	contactWhen     = sentence{"contacts are made on: %s; this call was %s", "контакты создаются при: %s; этот звонок: %s"}
	contactMade     = sentence{"a contact is wanted for a client whose call was %s", "нужен контакт клиента, звонок: %s"}
	ownerMoves      = sentence{"the rule %s means extension %s; a contact made while %s talked is given to him", "правило «%s» указывает на %s; контакт, созданный во время разговора с %s, передаётся ему"}

	fieldsWithheld = sentence{"the client's number is withheld, so no contact can be updated", "номер клиента скрыт, обновлять некого"}
	fieldsOnce     = sentence{"all fields are written only when the contact is made", "все поля заполняются только при создании контакта"}
	fieldsAlways   = sentence{"fields to be updated on every call: %s", "полей, обновляемых при каждом звонке: %s"}

	historyInternal = sentence{"internal calls are not written into the call history", "внутренние звонки не попадают в историю звонков"}
	historyWanted   = sentence{"every call with a client is written into the call history", "каждый звонок с клиентом записывается в историю звонков"}

	communicationsOff = sentence{"there are no rules for communications", "правил для коммуникаций нет"}
	tasksOff          = sentence{"there are no rules for tasks", "правил для дел нет"}
	processesOff      = sentence{"there are no rules for processes", "правил для процессов нет"}

	ruleNo          = sentence{"rule %s: %s", "правило %s: %s"}
	ruleInternal    = sentence{"the rule does not name internal calls", "правило не называет внутренние звонки"}
	ruleDirection   = sentence{"the rule wants the direction %s, this call is %s", "правило для направления «%s», а звонок: %s"}
	ruleOutcome     = sentence{"the rule wants the outcome %s, this call was %s", "правило для исхода «%s», а звонок: %s"}
	ruleReason      = sentence{"the rule wants the reason %s, the reason of this call was %s", "правило для причины «%s», а причина звонка: %s"}
	ruleLine        = sentence{"the rule wants the lines %s, this call came over %s", "правило для линий %s, а звонок пришёл через %s"}
	ruleFits        = sentence{"the call fits the rule: %s", "звонок подходит под правило: %s"}
	ruleFitsKnown   = sentence{"the call fits the rule if the client is in the CRM: %s", "звонок подходит под правило, если клиент есть в CRM: %s"}
	ruleFitsUnknown = sentence{"the call fits the rule if the client is not in the CRM: %s", "звонок подходит под правило, если клиента нет в CRM: %s"}

	ownerDefault = sentence{"the rule names the default responsible", "правило называет ответственного по умолчанию"}
	ownerNobody  = sentence{"nobody talked, so it is the default responsible", "никто не разговаривал, поэтому ответственный по умолчанию"}
	ownerCaller  = sentence{"nobody talked, so it is %s, who placed the call", "никто не разговаривал, поэтому %s, кто звонил"}
	ownerTalked  = sentence{"the rule %s means extension %s", "правило «%s» указывает на %s"}
	ownerNamed   = sentence{"the rule names %s", "правило называет %s"}
	ownerAsk     = sentence{"the CRM is asked for the %s's employee", "ответственного называет CRM: %s"}
)

var sentences = []sentence{notOurLine, internalUnnamed, popupOff, popupInternal, popupWithheld, popupNobody, popupRing, popupAnswer, popupHold, popupStop, popupEnd,
	contactOff, contactInternal, contactWithheld, contactWhen, contactMade, ownerMoves, fieldsWithheld, fieldsOnce, fieldsAlways,
	historyInternal, historyWanted, communicationsOff, tasksOff, processesOff, ruleNo, ruleInternal, ruleDirection, ruleOutcome, ruleReason,
	ruleLine, ruleFits, ruleFitsKnown, ruleFitsUnknown, ownerDefault, ownerNobody, ownerCaller, ownerTalked, ownerNamed, ownerAsk,
	taskCalledBack, taskCameThrough, taskTalkedWith, taskByHand, recordingLate, recordingRenewed, askedOnCard}

func because(s sentence, facts ...string) string {
	if len(facts) == 0 {
		return s.en
	}
	args := make([]any, len(facts))
	for i, f := range facts {
		args[i] = f
	}
	return fmt.Sprintf(s.en, args...)
}

type pattern struct {
	re *regexp.Regexp
	ru string
}

var patterns = sync.OnceValue(func() []pattern {
	out := make([]pattern, len(sentences))
	for i, s := range sentences {
		out[i] = pattern{regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(s.en), "%s", "(.+?)") + "$"), s.ru}
	}
	return out
})

// Explain translates a reason that Plan or Responsible gave; lang is ru or en.
// What it does not know it returns as it is.
func Explain(reason, lang string) string {
	if lang != "ru" || reason == "" {
		return reason
	}
	parts := strings.Split(reason, "; rule ")
	if len(parts) > 1 {
		for i := range parts {
			if i > 0 {
				parts[i] = "rule " + parts[i]
			}
			parts[i] = Explain(parts[i], lang)
		}
		return strings.Join(parts, "; ")
	}
	for _, p := range patterns() {
		m := p.re.FindStringSubmatch(reason)
		if m == nil {
			continue
		}
		args := make([]any, len(m)-1)
		for i, f := range m[1:] {
			args[i] = explainFact(f)
		}
		return fmt.Sprintf(p.ru, args...)
	}
	return reason
}

// explainFact translates a fact: a nested reason, or a list of our words.
func explainFact(s string) string {
	if s == unknownLine {
		return "неизвестную линию"
	}
	if t := Explain(s, "ru"); t != s {
		return t
	}
	words := strings.Split(s, ", ")
	for i, w := range words {
		words[i] = word(w, "ru")
	}
	return strings.Join(words, ", ")
}
