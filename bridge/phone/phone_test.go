package phone

import (
	"strings"
	"testing"

	"callbridge/bridge"
)

func TestParse(t *testing.T) {
	const mob = "+79161234567"
	tests := []struct {
		name, raw, country string
		want               bridge.Number
		kind               Kind
	}{
		{"E.164", "+79161234567", "RU", mob, Public},
		{"E.164 without a country of ours", "+79161234567", "", mob, Public},
		{"seven", "79161234567", "RU", mob, Public},
		{"seven, no country of ours", "79161234567", "", mob, Public},
		{"eight", "89161234567", "RU", mob, Public},
		{"lower-case country", "89161234567", "ru", mob, Public},
		{"ten digits", "9161234567", "RU", mob, Public},
		{"brackets", "8 (495) 123-45-67", "RU", "+74951234567", Public},
		{"brackets, plus", "+7 (495) 123-45-67", "RU", "+74951234567", Public},
		{"dots", "8.916.123.45.67", "RU", mob, Public},
		{"narrow and non-breaking spaces", "+7 916 123‑45‑67", "RU", mob, Public},
		{"direction marks", "\u202d+79161234567\u202c", "RU", mob, Public},
		{"full-width", "＋７９１６１２３４５６７", "RU", mob, Public},
		{"Arabic digits", "٨٩١٦١٢٣٤٥٦٧", "RU", mob, Public},
		{"toll-free", "8-800-200-06-00", "RU", "+78002000600", Public},
		{"toll-free digits", "88002000600", "RU", "+78002000600", Public},
		{"plus before the trunk eight", "+89161234567", "RU", mob, Public},
		{"mask of a form and the trunk eight", "+7 8 (916) 123-45-67", "RU", mob, Public},
		{"new mobile range", "+79351234567", "RU", "+79351234567", Public},
		{"new mobile range from home", "89351234567", "RU", "+79351234567", Public},
		{"Kazakhstan", "+77011234567", "RU", "+77011234567", Public},
		{"Kazakhstan from home", "87011234567", "KZ", "+77011234567", Public},
		{"Kazakhstan, ten digits", "7011234567", "KZ", "+77011234567", Public},
		{"Belarus with plus", "+375291234567", "RU", "+375291234567", Public},
		{"Belarus without plus", "375291234567", "RU", "+375291234567", Public},
		{"Belarus from home", "8 029 123-45-67", "BY", "+375291234567", Public},
		{"Belarus by the international prefix", "810375291234567", "RU", "+375291234567", Public},
		{"Belarus by 8~10", "8~10 375 29 123-45-67", "RU", "+375291234567", Public},
		{"00 prefix", "00375291234567", "RU", "+375291234567", Public},
		{"00 prefix home", "0079161234567", "RU", mob, Public},
		{"00 in Germany", "0079161234567", "DE", mob, Public},
		{"Ukraine", "380501234567", "RU", "+380501234567", Public},
		{"Ukraine from home", "0501234567", "UA", "+380501234567", Public},
		{"Uzbekistan", "998901234567", "RU", "+998901234567", Public},
		{"Germany from home", "030 901820", "DE", "+4930901820", Public},
		{"Germany, slash (D-23)", "+49 30/901820", "RU", "+4930901820", Public},
		{"USA", "+1 (212) 736-5000", "RU", "+12127365000", Public},
		{"USA without plus", "12127365000", "RU", "+12127365000", Public},
		{"USA from home", "(212) 736-5000", "US", "+12127365000", Public},
		{"Italy keeps its zero", "+390669812345", "RU", "+390669812345", Public},
		{"Estonia, ten digits", "3725123456", "RU", "+3725123456", Public},
		{"SIP URI", `"Name" <sip:+79161234567@host:5060;user=phone>`, "RU", mob, Public},
		{"SIP URI, name with a number", `"Отдел 2" <sip:89161234567@10.0.0.1>`, "RU", mob, Public},
		{"SIP URI, number in the name only", `"8 916 123-45-67" <sip:trunk@10.0.0.1>`, "RU", mob, Public},
		{"SIP URI bare", "sip:+79161234567@host", "RU", mob, Public},
		{"SIP URI upper case", "SIP:89161234567;phone-context=ru@host", "RU", mob, Public},
		{"SIP URI escaped", "sip:%2B79161234567@host", "RU", mob, Public},
		{"SIP URI of an extension", "<sip:101@192.168.1.10>", "RU", "", Short},
		{"SIP URI of a host", "sip:10.0.0.1", "RU", "", Invalid},
		{"SIP anonymous", `"Anonymous" <sip:anonymous@anonymous.invalid>`, "RU", "", Withheld},
		{"SIP private", "sip:+79161234567@anonymous.invalid", "RU", "", Withheld},
		{"name says anonymous, number is there", `"Anonymous" <sip:+79161234567@host>`, "RU", mob, Public},
		{"number at host", "79161234567@trunk", "RU", mob, Public},
		{"e-mail", "ivan1985@example.ru", "RU", "", Invalid},
		{"tel URI", "tel:+7-916-123-45-67", "RU", mob, Public},
		{"tel URI with context", "tel:1234567;phone-context=+7495", "RU", "+74951234567", Public},
		{"text before", "моб. 8-916-123-45-67 (Иван)", "RU", mob, Public},
		{"extension in Russian", "8 (495) 123-45-67 доб. 123", "RU", "+74951234567", Public},
		{"extension in English", "+74951234567 ext.123", "RU", "+74951234567", Public},
		{"extension by x", "+74951234567x12", "RU", "+74951234567", Public},
		{"extension by #", "84951234567#123", "RU", "+74951234567", Public},
		{"two numbers by slash (D-23)", "+79161234567/+74951234567", "RU", mob, Public},
		{"last digits by slash (D-23)", "8 495 123-45-67/68", "RU", "+74951234567", Public},
		{"two numbers by comma", "123, 8 916 123 45 67", "RU", mob, Public},
		{"end sign", "89161234567#", "RU", mob, Public},
		{"withhold code before", "#31#+79161234567", "RU", mob, Public},
		{"withhold code before, national", "*67 89161234567", "RU", mob, Public},
		{"feature code", "*8", "RU", "", Short},
		{"USSD", "*100#", "RU", "", Short},
		{"extension", "101", "RU", "", Short},
		{"emergency", "112", "RU", "", Short},
		{"short service", "0500", "RU", "", Short},
		{"six digits", "123456", "RU", "", Short},
		{"one digit", "5", "RU", "", Invalid},
		{"seven digits without an area", "1234567", "RU", "", Invalid},
		{"one digit missing", "8916123456", "RU", "+78916123456", Public}, // ten digits that begin with 8: an area code in 8xx
		{"one digit too many", "+791612345678", "RU", "", Invalid},
		{"flat number is no extension", "кв. 12", "RU", "", Invalid},
		{"empty", "", "RU", "", Withheld},
		{"blank", "  ", "RU", "", Withheld},
		{"anonymous", "anonymous", "RU", "", Withheld},
		{"Anonymous", "Anonymous", "RU", "", Withheld},
		{"unknown", "<unknown>", "RU", "", Withheld},
		{"restricted", "Restricted", "RU", "", Withheld},
		{"private", "private number", "RU", "", Withheld},
		{"unavailable", "unavailable", "RU", "", Withheld},
		{"Russian withheld", "Номер скрыт", "RU", "", Withheld},
		{"Russian unknown", "Номер не определён", "RU", "", Withheld},
		{"keypad anonymous", "266696687", "RU", "", Withheld},
		{"keypad anonymous with plus", "+266696687", "RU", "", Withheld},
		{"name", "Иван", "RU", "", Invalid},
		{"long", "+" + strings.Repeat("7", 300), "RU", "", Invalid},
		{"very long", strings.Repeat("8 916 123 45 67, ", 1000), "RU", "", Invalid},
		{"broken UTF-8", "\xff\xfe89161234567", "RU", mob, Public},
		{"nul", "8916\x001234567", "RU", mob, Public},
		{"address", "192.168.100.101", "RU", "", Invalid},
		{"unknown country", "89161234567", "QQ", "", Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, kind := Parse(tt.raw, tt.country)
			if got != tt.want || kind != tt.kind {
				t.Errorf("Parse(%q, %q) = %q, %v; want %q, %v", tt.raw, tt.country, got, kind, tt.want, tt.kind)
			}
		})
	}
}
