package phone

import (
	"strconv"
	"strings"

	"callbridge/bridge"

	"github.com/nyaruka/phonenumbers"
)

// number makes a Number of bare digits; plus says that they begin with a
// country code.
func number(d string, plus bool, country string) (bridge.Number, Kind) {
	switch {
	case strings.TrimLeft(d, "0") == "266696687":
		return "", Withheld // "ANONYMOUS" on a telephone's keys, as some switches send it
	case len(d) < 2:
		return "", Invalid
	case len(d) <= 6:
		return "", Short
	case len(d) > 20:
		return "", Invalid
	case plus:
		return international(d, country)
	}
	country = strings.ToUpper(country)
	if home7(country) {
		if n, ok := national7(d); ok {
			return n, Public
		}
	}
	region := country
	if phonenumbers.GetCountryCodeForRegion(region) == 0 {
		region = "ZZ"
	}
	if code := phonenumbers.GetCountryCodeForRegion(region); code != 0 && strings.HasPrefix(d, strconv.Itoa(code)) {
		// The own country's code without its plus, as CRMs keep numbers.
		if n, fit := read("+"+d, "ZZ"); fit == valid {
			return n, Public
		}
	}
	home, homeFit := read(d, region)
	if homeFit == valid {
		return home, Public
	}
	if away, fit := read("+"+d, "ZZ"); fit == valid || fit == possible && homeFit == no && len(d) >= 11 {
		return away, Public
	}
	if homeFit == possible {
		return home, Public
	}
	if rest, ok := strings.CutPrefix(d, "00"); ok && len(rest) >= 8 {
		return international(rest, country)
	}
	return "", Invalid
}

// international reads digits that begin with a country code.
func international(d, country string) (bridge.Number, Kind) {
	if d[0] == '7' && plan7(d[1:]) {
		return bridge.Number("+" + d), Public // what read would find, forty times as fast
	}
	if n, fit := read("+"+d, "ZZ"); fit != no {
		return n, Public
	}
	// Two usual slips behind the "+7" of a form: "+8 916 …" and "+7 8 916 …".
	if home7(country) && len(d) == 11 && d[0] == '8' && plan7(d[1:]) {
		return bridge.Number("+7" + d[1:]), Public
	}
	if len(d) == 12 && d[:2] == "78" && plan7(d[2:]) {
		return bridge.Number("+7" + d[2:]), Public
	}
	return "", Invalid
}

// national7 reads what can only be a number of the +7 plan, seen from inside it.
func national7(d string) (bridge.Number, bool) {
	switch {
	case len(d) == 11 && (d[0] == '7' || d[0] == '8') && plan7(d[1:]):
		return bridge.Number("+7" + d[1:]), true
	case len(d) == 10 && (d[0] == '9' || d[0] == '4' || d[0] == '8'):
		return bridge.Number("+7" + d), true
	case len(d) == 12 && d[:2] == "78" && plan7(d[2:]):
		return bridge.Number("+7" + d[2:]), true
	}
	return "", false
}

// How well digits fit a numbering plan.
type fit uint8

const (
	no fit = iota
	possible
	valid
)

// read asks the library, except for the +7 plan (see the package's doc).
func read(d, region string) (bridge.Number, fit) {
	num, err := phonenumbers.Parse(d, region)
	if err != nil {
		return "", no
	}
	n := bridge.Number(phonenumbers.Format(num, phonenumbers.E164))
	if len(n) > 16 { // E.164: fifteen digits
		return "", no
	}
	if rest, ok := strings.CutPrefix(string(n), "+7"); ok {
		switch {
		case !plan7(rest):
			return "", no
		case phonenumbers.IsValidNumber(num):
			return n, valid
		}
		return n, possible
	}
	switch {
	case phonenumbers.IsValidNumber(num):
		return n, valid
	case phonenumbers.IsPossibleNumberWithReason(num) == phonenumbers.IS_POSSIBLE:
		// Zeros of a trunk prefix may be left in a number that is not valid.
		if again, err := phonenumbers.Parse(string(n), "ZZ"); err == nil && phonenumbers.Format(again, phonenumbers.E164) == string(n) {
			return n, possible
		}
	}
	return "", no
}

// Country returns the ISO code of the country n belongs to, "" if it is not
// known. The +7 plan is split by its first digit: 6 and 7 are Kazakhstan.
func Country(n bridge.Number) string {
	if rest, ok := strings.CutPrefix(string(n), "+7"); ok && plan7(rest) {
		if rest[0] == '6' || rest[0] == '7' {
			return "KZ"
		}
		return "RU"
	}
	num, err := phonenumbers.Parse(string(n), "ZZ")
	if err != nil {
		return ""
	}
	region := phonenumbers.GetRegionCodeForNumber(num)
	if region == "" {
		region = phonenumbers.GetRegionCodeForCountryCode(int(num.GetCountryCode()))
	}
	if len(region) != 2 || region == "ZZ" {
		return ""
	}
	return region
}

// IsCountry says whether code is a country (two capital letters) whose numbers
// we can read.
func IsCountry(code string) bool {
	return len(code) == 2 && phonenumbers.GetCountryCodeForRegion(code) != 0
}
