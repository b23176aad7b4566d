package phone

import (
	"strings"
	"testing"

	"callbridge/bridge"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"
)

// countries are those a client of ours really calls from.
var countries = []string{"RU", "KZ", "BY", "UA", "DE", "US", "GB", "UZ", "AM", "GE", "IT", "FR", "TR", "CN", "IN", "BR", "EE", "LV", "FI", "IL", "AE", "VN", "AR", "MX"}

// numbers draws public numbers: mostly of the +7 plan, others by varying the
// last digits of the library's example of a country.
func numbers() *rapid.Generator[bridge.Number] {
	return rapid.Custom(func(t *rapid.T) bridge.Number {
		if rapid.IntRange(0, 2).Draw(t, "plan") > 0 {
			return bridge.Number("+7" + rapid.StringMatching(`[3-9][0-9]{9}`).Draw(t, "national"))
		}
		country := rapid.SampledFrom(countries[1:]).Draw(t, "country")
		kinds := []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE}
		num := phonenumbers.GetExampleNumberForType(country, rapid.SampledFrom(kinds).Draw(t, "type"))
		e164 := phonenumbers.Format(num, phonenumbers.E164)
		s := e164[:len(e164)-3] + rapid.StringMatching(`[0-9]{3}`).Draw(t, "last")
		n, kind := Parse(s, "")
		if kind != Public {
			t.Skip("not a number")
		}
		return n
	})
}

func TestSpellingsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := numbers().Draw(t, "n")
		home := Country(n)
		all := Spellings(n)
		if len(all) < 5 || len(all) > 30 || all[0] != string(n) || all[1] != n.Digits() {
			t.Fatalf("Spellings(%s) = %q", string(n), all)
		}
		seen := map[string]bool{}
		for _, s := range all {
			if seen[s] {
				t.Fatalf("%q is there twice", s)
			}
			seen[s] = true
			in := home
			if strings.HasPrefix(s, "810") && home != "RU" && home != "KZ" {
				in = "RU"
			}
			if got, kind := Parse(s, in); s != n.Digits() && (got != n || kind != Public) {
				t.Fatalf("Parse(%q, %s) = %s, %v; want %s", s, in, string(got), kind, string(n))
			}
			if !Same(s, n, in) {
				t.Fatalf("Same(%q, %s, %s) is false", s, string(n), in)
			}
		}
	})
}

func TestParseIsIdempotent(t *testing.T) {
	signs := rapid.StringOfN(rapid.SampledFrom([]rune("0123456789+-() .,/#*;:@<>\"доб.extsipтел")), 0, 40, -1)
	rapid.Check(t, func(t *rapid.T) {
		raw := signs.Draw(t, "raw")
		if rapid.Bool().Draw(t, "around a number") {
			n := numbers().Draw(t, "n")
			raw = rapid.StringOfN(rapid.SampledFrom([]rune("т. (\"<")), 0, 4, -1).Draw(t, "before") +
				rapid.SampledFrom(Spellings(n)).Draw(t, "spelling") + signs.Draw(t, "after")
		}
		country := rapid.SampledFrom(append(countries, "", "QQ")).Draw(t, "country")
		n, kind := Parse(raw, country)
		if (n != "") != (kind == Public) {
			t.Fatalf("Parse(%q, %s) = %q, %v", raw, country, string(n), kind)
		}
		if kind != Public {
			return
		}
		if again, k := Parse(string(n), country); again != n || k != Public {
			t.Fatalf("Parse(%q) = %s, but Parse of that = %s, %v", raw, string(n), string(again), k)
		}
		if again, k := Parse(n.Digits(), Country(n)); again != n && Country(n) != "" && full(n) {
			t.Fatalf("digits of %s read as %s, %v at home in %s", string(n), string(again), k, Country(n))
		}
		if !Same(raw, n, country) {
			t.Fatalf("Same(%q, %s) is false", raw, string(n))
		}
		if Format(n, "ru") == "" || Format(n, "ru") != Format(n, "en") {
			t.Fatalf("Format(%s) = %q", string(n), Format(n, "ru"))
		}
		if back, _ := Parse(Format(n, "ru"), ""); back != n {
			t.Fatalf("Format(%s) = %q reads back as %s", string(n), Format(n, "ru"), string(back))
		}
	})
}

// The short cut and the long way must agree on whatever the short cut takes.
func TestFastPathEqualsLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringMatching(`\+?[789]?[0-9]{10}`).Draw(t, "raw")
		country := rapid.SampledFrom([]string{"RU", "KZ", "ru", "", "US", "BY"}).Draw(t, "country")
		n, ok := fast(raw, country)
		if !ok {
			return
		}
		if m, kind := slow(raw, country); m != n || kind != Public {
			t.Fatalf("%q in %q: fast %s, slow %s (%v)", raw, country, string(n), string(m), kind)
		}
		num, err := phonenumbers.Parse(raw, strings.ToUpper(country))
		if err == nil && phonenumbers.IsValidNumber(num) {
			if want := phonenumbers.Format(num, phonenumbers.E164); string(n) != want {
				t.Fatalf("%q in %q: fast %s, the library says %s", raw, country, string(n), want)
			}
		}
	})
}

func TestSame(t *testing.T) {
	const mob = bridge.Number("+79161234567")
	for _, s := range []string{"+79161234567", "8 (916) 123-45-67", "84951112233, 89161234567", "8 495 111 22 33/8 916 123 45 67", "тел. 9161234567 доб. 3"} {
		if !Same(s, mob, "RU") {
			t.Errorf("Same(%q) is false", s)
		}
	}
	for _, s := range []string{"", "+79161234568", "101", "anonymous", "891612345671"} {
		if Same(s, mob, "RU") {
			t.Errorf("Same(%q) is true", s)
		}
	}
	// D-08: an empty number is the same as nothing.
	if Same("", "", "RU") || Same("anonymous", "", "RU") {
		t.Error("the empty number matched")
	}
}

func TestExtension(t *testing.T) {
	tests := map[string]string{
		"101": "101", "0500": "0500", "<sip:101@192.168.1.10>": "101", `"Ivan" <102>`: "102", "sip:103@pbx;user=phone": "103",
		"8 (495) 123-45-67 доб. 123": "123", "+74951234567 ext. 45": "45", "84951234567#9": "9", "доб. 777": "777", "доб 12": "12",
		"tel:+74951234567;ext=31": "31", "+74951234567": "", "": "", "anonymous": "", "Иван": "", "кв. 12": "",
	}
	for raw, want := range tests {
		if got := Extension(raw); got != want {
			t.Errorf("Extension(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		n          bridge.Number
		lang, want string
	}{
		{"+79161234567", "ru", "+7 916 123-45-67"},
		{"+78002000600", "en", "+7 800 200-06-00"},
		{"+77011234567", "ru", "+7 701 123-45-67"},
		{"+375291234567", "ru", "+375 29 123-45-67"},
		{"+12127365000", "en", "+1 212-736-5000"},
		{"", "ru", "номер скрыт"},
		{"", "en", "number withheld"},
	}
	for _, tt := range tests {
		if got := Format(tt.n, tt.lang); got != tt.want {
			t.Errorf("Format(%s) = %q, want %q", string(tt.n), got, tt.want)
		}
	}
}

func TestSpellingsOfAMobile(t *testing.T) {
	want := []string{"+79161234567", "79161234567", "89161234567", "9161234567", "+7 (916) 123-45-67", "8 (916) 123-45-67"}
	got := Spellings("+79161234567")
	for i, w := range want {
		if got[i] != w {
			t.Errorf("spelling %d is %q, want %q", i, got[i], w)
		}
	}
	if Spellings("") != nil {
		t.Error("the empty number has spellings")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"+79161234567", "8 (495) 123-45-67 доб. 123", `"Name" <sip:+79161234567@host:5060;user=phone>`, "tel:1234567;phone-context=+7495",
		"030/901820", "#31#+7916", "anonymous", "<unknown>", "８９１６", "\xff<\x00>", "sip:%zz@", "*100#", "00375291234567"} {
		f.Add(s, "RU")
	}
	f.Fuzz(func(t *testing.T, raw, country string) {
		n, kind := Parse(raw, country)
		if (n != "") != (kind == Public) {
			t.Fatalf("Parse(%q, %q) = %q, %v", raw, country, string(n), kind)
		}
		Extension(raw)
		if n == "" {
			return
		}
		if len(n) < 6 || len(n) > 16 || n[0] != '+' || strings.Trim(string(n[1:]), "0123456789") != "" {
			t.Fatalf("Parse(%q, %q) = %q is not E.164", raw, country, string(n))
		}
		if again, _ := Parse(string(n), country); again != n {
			t.Fatalf("%q reads as %q, that as %q", raw, string(n), string(again))
		}
		if !Same(raw, n, country) {
			t.Fatalf("Same(%q, %q, %q) is false", raw, string(n), country)
		}
		for _, s := range Spellings(n) {
			if len(s) > 40 {
				t.Fatalf("spelling %q is long", s)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"79161234567", "+79161234567", "101", "anonymous", "8 (916) 123-45-67", "+375291234567", `"Name" <sip:+79161234567@host:5060;user=phone>`} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(s, "RU")
			}
		})
	}
}

func BenchmarkSpellings(b *testing.B) {
	for _, n := range []bridge.Number{"+79161234567", "+375291234567"} {
		b.Run(string(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Spellings(n)
			}
		})
	}
}
