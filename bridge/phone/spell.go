package phone

import (
	"slices"
	"strings"

	"callbridge/bridge"

	"github.com/nyaruka/phonenumbers"
)

// Spellings returns every form in which a CRM may hold n, the likely ones
// first: E.164, digits, the national forms, then brackets and dashes. Each of
// them is Same as n in n's own country (see Country). There are at most
// thirty; the first three find nearly everything.
func Spellings(n bridge.Number) []string {
	if n == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(string(n), "+7"); ok && plan7(rest) {
		return spellings7(rest)
	}
	return spellingsOther(n)
}

func spellings7(d string) []string {
	a, b, c, e := d[:3], d[3:6], d[6:8], d[8:]
	dashed := b + "-" + c + "-" + e
	spaced := b + " " + c + " " + e
	out := make([]string, 0, 24)
	out = append(out, "+7"+d, "7"+d, "8"+d)
	bare, _ := Parse(d, "RU") // ten digits may also be those of another country
	if bare == bridge.Number("+7"+d) {
		out = append(out, d)
	}
	out = append(out,
		"+7 ("+a+") "+dashed, "8 ("+a+") "+dashed, "+7 "+a+" "+dashed, "8 "+a+" "+dashed,
		"+7("+a+")"+dashed, "8("+a+")"+dashed, "+7-"+a+"-"+dashed, "8-"+a+"-"+dashed,
		"7 ("+a+") "+dashed, "7-"+a+"-"+dashed,
		"+7 "+a+" "+spaced, "8 "+a+" "+spaced, "+7 ("+a+") "+spaced, "8 ("+a+") "+spaced,
		"+7 "+d, "8 "+d, "007"+d)
	if bare == bridge.Number("+7"+d) {
		out = append(out, "("+a+") "+dashed, a+"-"+dashed, a+" "+dashed)
	}
	return out
}

func spellingsOther(n bridge.Number) []string {
	num, err := phonenumbers.Parse(string(n), "ZZ")
	if err != nil {
		return []string{string(n), n.Digits()}
	}
	country := Country(n)
	significant := phonenumbers.GetNationalSignificantNumber(num)
	national := phonenumbers.Format(num, phonenumbers.NATIONAL)
	inter := phonenumbers.Format(num, phonenumbers.INTERNATIONAL)
	all := []string{string(n), n.Digits(), digitsOf(national), inter, strings.TrimPrefix(inter, "+"), national,
		strings.ReplaceAll(inter, " ", "-"), strings.ReplaceAll(inter, "-", " "), significant,
		"00" + n.Digits(), "810" + n.Digits()}
	out := all[:0]
	for _, s := range all {
		home := country
		if strings.HasPrefix(s, "810") && s[3:] == n.Digits() {
			home = "RU" // how a switch in Russia dials abroad
		}
		if Same(s, n, home) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Format writes n for people: "+7 916 123-45-67". A withheld number reads so
// in the language (ru, else English).
func Format(n bridge.Number, lang string) string {
	if n == "" {
		if lang == "ru" {
			return "номер скрыт"
		}
		return "number withheld"
	}
	if d, ok := strings.CutPrefix(string(n), "+7"); ok && plan7(d) {
		return "+7 " + d[:3] + " " + d[3:6] + "-" + d[6:8] + "-" + d[8:]
	}
	num, err := phonenumbers.Parse(string(n), "ZZ")
	if err != nil {
		return string(n)
	}
	return phonenumbers.Format(num, phonenumbers.INTERNATIONAL)
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
