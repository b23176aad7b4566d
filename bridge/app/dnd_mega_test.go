package app

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
)

// M-0.9: Megaplan documents no do-not-disturb. Where an account keeps the switch
// in the telephony settings of a user, and we are told where, it goes both
// ways; where not, nothing of it is read or written.
func TestM09DoNotDisturbBothWaysWhereTheAccountKeepsIt(t *testing.T) {
	for _, path := range []string{"phone.dnd", ""} {
		synctest.Test(t, func(t *testing.T) {
			f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) {
				if path != "" {
					s.Integrations[0].Credentials["dnd_path"] = path
				}
			})
			defer f.close()
			user, _ := f.targetOf(mp).ByExtension("101")
			f.mega.SetTelephony(string(user.User), `{"theme":"dark","phone":{"dnd":false,"volume":0.70}}`)
			shown := func() (dnd bool, rest string) {
				var v struct {
					Theme string
					Phone struct {
						DND    bool
						Volume json.Number
					}
				}
				if err := json.Unmarshal([]byte(f.mega.Telephony(string(user.User))), &v); err != nil {
					t.Fatal(err)
				}
				return v.Phone.DND, v.Theme + v.Phone.Volume.String()
			}
			time.Sleep(2 * time.Minute) // what is there at first is nobody's wish
			if f.hub.DND("101") {
				t.Error("on at first")
			}
			// Here, or on the phone: Megaplan shows it, and keeps the rest.
			for _, on := range []bool{true, false, true} {
				if err := f.SetDoNotDisturb(t.Context(), "101", on); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if got, rest := shown(); got != (on && path != "") || rest != "dark0.70" {
					t.Errorf("%q: Megaplan shows %t (%s), want %t", path, got, rest, on)
				}
				if f.hub.DND("101") != on {
					t.Errorf("%q: it does not stay %t here", path, on)
				}
			}
			// In Megaplan: it holds here within a minute.
			f.mega.SetTelephony(string(user.User), `{"theme":"dark","phone":{"dnd":false,"volume":0.70}}`)
			time.Sleep(time.Minute)
			if path != "" && f.hub.DND("101") {
				t.Error("Megaplan's switch was not taken over")
			}
			if path == "" {
				for _, r := range f.mega.Requests() {
					if r == "GET /callUserConfig/Employee/"+string(user.User) {
						t.Error("the settings of a user were read without need")
					}
				}
			}
		})
	}
}
