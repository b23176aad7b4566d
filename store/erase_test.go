package store_test

import (
	"testing"

	"callbridge/store"
)

// What is blotted out is the number in any spelling, and no longer one that
// holds its digits.
func TestBlot(t *testing.T) {
	for in, want := range map[string]string{
		`{"to":"8 (916) 123-45-67"}`:           `{"to":"***"}`,
		`за 9161234567.`:                       `за ***.`,
		`+7 916 123-45-67 и 89161234567`:       `*** и ***`,
		`007 916 1234567`:                      `***`,
		`rec/in-79161234567-20261122.wav`:      `rec/in-***-20261122.wav`,
		`279161234567, 91612345678, 9161234`:   `279161234567, 91612345678, 9161234`,
		`at 1795323683.14 took 916 ms, 123`:    `at 1795323683.14 took 916 ms, 123`,
		"+7\u00a0916\u00a0123\u201145\u201167": "***",
	} {
		if got := store.Blot("+79161234567", in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
