package crm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzLoose: what a CRM sends as text, number, list or map gives a value or an
// error, and what was read can be written.
func FuzzLoose(f *testing.F) {
	for _, s := range []string{`"a"`, `1e400`, `-0`, `true`, `null`, `[]`, `{}`, `[1,{"a":null}]`, `{"1":"x"}`, `"\ud800"`, `12345678901234567890`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v Text
		if json.Unmarshal(data, &v) == nil {
			_, _, _ = v.Int(), v.Float(), v.Bool()
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("%q cannot be written: %v", v, err)
			}
		}
		var m Map[Text]
		_ = json.Unmarshal(data, &m) // an error is an answer
	})
}

// FuzzRetryAfter: whatever a server asks for, we wait a time that is bounded.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "-5", "1e9", "99999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "soon", " 3 ", "0.5"} {
		f.Add(s)
	}
	a := NewAPI(Env{}, APIOptions{})
	f.Fuzz(func(t *testing.T, s string) {
		if d := a.retryAfter(http.Header{"Retry-After": {s}}); d < 0 || d > 24*time.Hour {
			t.Errorf("Retry-After %q makes us wait %v", s, d)
		}
	})
}

// FuzzMask: a secret never stands in what is kept or logged, however it comes.
func FuzzMask(f *testing.F) {
	f.Add("token=s3cret-value&x=1", "s3cret-value")
	f.Add(`{"password":"пароль-длинный"}`, "пароль-длинный")
	f.Add("s3cret%2Dvalue s3cret-valuee", "s3cret-value")
	f.Fuzz(func(t *testing.T, text, secret string) {
		var m masker
		m.add(secret)
		if len(secret) >= 4 && !strings.Contains(secret, "*") && strings.Contains(m.text(text), secret) {
			t.Errorf("%q shows through: %q", secret, m.text(text))
		}
	})
}
