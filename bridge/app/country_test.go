package app

import (
	"testing"

	"callbridge/bridge/config"
)

// TestEachPBXHasItsCountry: the same digits are another number behind another PBX.
func TestEachPBXHasItsCountry(t *testing.T) {
	a := &App{cfg: &config.Config{Country: "RU", PBX: []config.PBX{{ID: "office"}, {ID: "minsk", Country: "BY"}}}}
	for _, tt := range []struct{ pbx, raw, want string }{
		{"office", "8 (916) 123-45-67", "+79161234567"},
		{"", "8 (916) 123-45-67", "+79161234567"},
		{"minsk", "8 (029) 111-22-33", "+375291112233"},
	} {
		if got := a.number(tt.pbx, tt.raw); string(got) != tt.want {
			t.Errorf("%q from PBX %q: %q, want %q", tt.raw, tt.pbx, string(got), tt.want)
		}
		if got := a.lineNumber(tt.pbx, tt.raw); got != tt.want {
			t.Errorf("line %q from PBX %q: %q, want %q", tt.raw, tt.pbx, got, tt.want)
		}
	}
}
