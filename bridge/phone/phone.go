// Package phone turns text into bridge.Number and back into every spelling a
// CRM may hold. It is the only importer of nyaruka/phonenumbers, and it never
// panics and never keeps anything between two calls.
//
// What the library does not decide, decided here:
//   - A number of the +7 plan (Russia, Kazakhstan) is ten digits that begin
//     with 3 to 9. The library's list of ranges is always behind the real
//     one, so a new range is still a client who can be called back.
//   - Elsewhere a number the library calls "possible" (length fits the
//     country) is kept too, if it came with a plus or reads as a national one.
//   - Two to six digits are a short code or an extension, never a client.
package phone

import (
	"strings"

	"callbridge/bridge"
)

// Kind says what a text is.
type Kind uint8

const (
	Invalid  Kind = iota // no number can be made of it
	Public               // a public number: the only kind with a bridge.Number
	Short                // an extension or a short code: 101, 112, 0500
	Withheld             // the caller did not show his number, or there is none
)

// String is for logs and messages.
func (k Kind) String() string {
	switch k {
	case Public:
		return "public"
	case Short:
		return "short"
	case Withheld:
		return "withheld"
	}
	return "invalid"
}

// maxLen bounds the work on one text; a SIP URI with a long name is far below.
const maxLen = 1024

// Parse reads a number as PBXs, CRMs and people write it: with or without
// country, in brackets and dashes, as SIP or tel URI, with text or an
// extension around it. country (ISO 3166-1 alpha-2) is where a number without
// a country code belongs; "" accepts only numbers that carry theirs. Of
// several numbers in one text the first public one is returned (D-23). The
// Number is "" unless the kind is Public.
func Parse(raw, country string) (bridge.Number, Kind) {
	if n, ok := fast(raw, country); ok {
		return n, Public
	}
	return slow(raw, country)
}

// Same says whether raw holds n: alone or among other numbers, in any
// spelling. Eleven and more digits that are exactly those of n are n even where
// they could be read as a national number: CRMs drop the plus.
func Same(raw string, n bridge.Number, country string) bool {
	if n == "" {
		return false
	}
	if got, ok := fast(raw, country); ok {
		return got == n
	}
	if len(raw) >= 11 && raw == n.Digits() {
		return true
	}
	found := false
	scan(raw, country, func(got bridge.Number, k Kind, _ string) bool {
		found = k == Public && got == n
		return !found
	})
	return found
}

// Extension returns the internal number raw names: a short code itself
// ("<sip:101@pbx>" gives 101), or what follows "ext.", "доб." or "#" of a
// public number. It is "" when there is none.
func Extension(raw string) string {
	ext := ""
	scan(raw, "", func(_ bridge.Number, k Kind, x string) bool {
		ext = x
		return ext == ""
	})
	return ext
}

// slow is Parse without the short cut; a test proves that both agree.
func slow(raw, country string) (bridge.Number, Kind) {
	best, kind := bridge.Number(""), Invalid
	scan(raw, country, func(n bridge.Number, k Kind, _ string) bool {
		switch {
		case k == Public:
			best, kind = n, k
			return false
		case kind == Invalid:
			kind = k
		}
		return true
	})
	return best, kind
}

// fast knows the plain spellings that make up nearly all caller numbers here:
// +7 and ten digits; for Russia and Kazakhstan also 7…, 8… and ten digits
// alone. Everything else it leaves to slow.
func fast(raw, country string) (bridge.Number, bool) {
	switch len(raw) {
	case 12:
		if raw[0] != '+' || raw[1] != '7' || !plan7(raw[2:]) {
			return "", false
		}
		return bridge.Number(raw), true
	case 11:
		if !home7(country) || raw[0] != '7' && raw[0] != '8' || !plan7(raw[1:]) {
			return "", false
		}
		return bridge.Number("+7" + raw[1:]), true
	case 10:
		// Other first digits may be a foreign number without its plus.
		if !home7(country) || raw[0] != '9' && raw[0] != '4' && raw[0] != '8' || !plan7(raw) {
			return "", false
		}
		return bridge.Number("+7" + raw), true
	}
	return "", false
}

// plan7 says whether d is a national number of the +7 plan.
func plan7(d string) bool {
	if len(d) != 10 || d[0] < '3' || d[0] > '9' {
		return false
	}
	for i := range len(d) {
		if d[i] < '0' || d[i] > '9' {
			return false
		}
	}
	return true
}

// home7 says whether numbers without a country belong to the +7 plan.
func home7(country string) bool {
	return len(country) == 2 && (strings.EqualFold(country, "RU") || strings.EqualFold(country, "KZ"))
}
