package crm

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// The quick way hides what the expression alone would.
func TestMaskNumbersHidesWhatTheExpressionFinds(t *testing.T) {
	parts := []string{"+", "7", "8", "916", "123", "45", "67", " ", "-", "(", ")", "a", "я", "\"", ":", ",", "{", "_", "79161234567", "+7 (916) 123-45-67",
		"2026-11-22T10:00:00", "\xd0", "8 916 123 45 67", "12345678901234567890", ".", "=", "%2B79161234567"}
	for n := range 20000 {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		s := b.String()
		want := spelledNumber.ReplaceAllStringFunc(s, func(n string) string {
			if len(n) < 10 {
				return n
			}
			return n[:min(5, len(n)-4)] + "***" + n[len(n)-4:]
		})
		if got := maskNumbers(s); got != want {
			t.Fatalf("%q became %q, want %q", s, got, want)
		}
	}
}

func BenchmarkMask(b *testing.B) {
	m := &masker{}
	m.add("secret-token-of-the-account")
	body := strings.Repeat(`{"contentType":"Todo","id":"1000123","name":"Перезвонить","when":{"value":"2026-11-22T10:00:00+03:00"},"attributes":[],"phone":"+79161234567"},`, 8)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		m.text(body)
	}
}
