package web

import (
	"strings"
	"testing"
	"time"
)

func TestShortTimesAreNotNothing(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 20 * time.Millisecond: "0,1 с", 300 * time.Millisecond: "0,3 с", 949 * time.Millisecond: "0,9 с",
		950 * time.Millisecond: "0:01", 1400 * time.Millisecond: "0:01", 61 * time.Second: "1:01"} {
		if got := ru.Length(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := en.Length(300 * time.Millisecond); got != "0.3 s" {
		t.Error(got)
	}
	if ru.Span(nil) != "" {
		t.Error("unknown is not nothing")
	}
}

func TestOwnKeysAreShort(t *testing.T) {
	for id, want := range map[string]string{"": "", "1001": "1001", "callbridge:01JDA8QK4N3V0T9Z7B6C5D4E3F:communication-known": "communication-known",
		"callbridge:odd": "callbridge:odd", "0123456789012345678901234567890123456789": "012345678…23456789"} {
		if got := shortID(id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

func TestReasonsInTheReadersLanguage(t *testing.T) {
	for text, want := range map[string]string{
		"the call fits the rule: in, missed, no_answer":                             "звонок подходит под правило: входящий, пропущен, не ответили",
		"the integration is off":                                                    "интеграция выключена",
		"2 contacts have this number; the oldest, 1001, is used; was already there": "с этим номером контактов: 2; взят самый старый, 1001; уже было в CRM",
		"the rule wants a new client, but contact 17 has the number":                "правило для новых клиентов, но номер есть у контакта 17",
		"gave up after 9 attempts in 4 days":                                        "после 9 попыток за 4 дн. повторы прекращены",
		"something nobody has translated":                                           "something nobody has translated",
	} {
		if got := ru.Why(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if en.Why(text) != text {
			t.Errorf("%q is English already", text)
		}
	}
}

func TestLanguageOfALinkToTheSignInPage(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.browser(t)
	if a := b.get("/login?lang=ru", "Accept-Language", "en"); !strings.Contains(a.body, "Пароль") {
		t.Error("the link's language is not shown")
	}
	if a := b.get("/login", "Accept-Language", "en"); !strings.Contains(a.body, "Пароль") {
		t.Error("it is not kept")
	}
	if a := b.get("/login?lang=en"); !strings.Contains(a.body, "Password") {
		t.Error("another link does not change it")
	}
	if a := b.get("/login?lang=xx"); a.status != 200 || !strings.Contains(a.body, "Password") {
		t.Errorf("%d", a.status)
	}
}
