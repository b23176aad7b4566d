package megaplan

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzExtension: the extension of an employee is what is left of a SIP
// address, never the address.
func FuzzExtension(f *testing.F) {
	for _, s := range []string{"101", "sip:101@pbx.example.ru", "SIPS:101@[::1]:5061;transport=tls", "sip:", "sip:@", "<sip:101@x>", "tel:+7916", "", "sip:a:b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := extension(s); strings.HasPrefix(strings.ToLower(s), "sip:") && strings.Contains(got, "@") && strings.Count(s, "@") == 1 {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

// FuzzMarked: our key is found again in whatever text stands around it, and
// no other's.
func FuzzMarked(f *testing.F) {
	f.Add("<p>Перезвонить</p>", "callbridge:01M:task-0")
	f.Add("<p>[callbridge:01M:task-01]</p>", "callbridge:01M:task-0")
	f.Fuzz(func(t *testing.T, text, key string) {
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
			return // our keys are ids
		}
		if !marked(text+marker(key), key) {
			t.Errorf("the mark of %q is not found", key)
		}
	})
}
