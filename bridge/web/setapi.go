package web

import (
	"errors"
	"fmt"
	"net/http"

	"callbridge/bridge"
	"callbridge/bridge/setting"
)

// masked is settings as they leave the house: no secret, no hash.
func (s *server) masked(in bridge.Settings) bridge.Settings {
	fields := map[string][]setting.Field{}
	for _, k := range s.d.Admin.Kinds() {
		fields[k.Name] = k.Fields
	}
	mask := func(kind string, values map[string]string) map[string]string {
		f, known := fields[kind]
		if !known {
			for name := range values {
				f = append(f, setting.Field{Name: name, Secret: true})
			}
		}
		return setting.Masked(f, setting.Values(values))
	}
	out := in
	out.Credentials = append([]bridge.Credential(nil), in.Credentials...)
	for i := range out.Credentials {
		out.Credentials[i].Values = mask(out.Credentials[i].Kind, out.Credentials[i].Values)
	}
	out.Integrations = append([]bridge.Integration{}, in.Integrations...)
	for i := range out.Integrations {
		x := &out.Integrations[i]
		x.Credentials = mask(x.Kind, x.Credentials)
	}
	out.Users = append([]bridge.User{}, in.Users...)
	for i := range out.Users {
		if out.Users[i].PasswordHash != "" {
			out.Users[i].PasswordHash = setting.Mask
		}
	}
	return out
}

func (s *server) apiSettings(w http.ResponseWriter, r *http.Request) error {
	now, f, err := s.begin(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"version": f.Base, "settings": s.masked(now)})
	return nil
}

// settingsIn is the body of what changes or tries settings.
type settingsIn struct {
	Version  int64           `json:"version"` // the one the change was made to
	Note     string          `json:"note"`
	Days     int             `json:"days"` // of a dry run
	Settings bridge.Settings `json:"settings"`
}

func (s *server) readSettings(r *http.Request) (settingsIn, []setting.Problem, error) {
	var in settingsIn
	if err := s.allowed(r); err != nil {
		return in, nil, err
	}
	if err := readJSON(r, &in); err != nil {
		return in, nil, err
	}
	full, problems, err := s.d.Admin.Complete(r.Context(), in.Settings)
	in.Settings = full
	return in, problems, err
}

func writeProblems(w http.ResponseWriter, l lang, problems []setting.Problem) {
	type row struct {
		Field string `json:"field"`
		Text  string `json:"text"`
	}
	rows := []row{}
	for _, p := range problems {
		rows = append(rows, row{p.Path, problemIn(l, p.Text)})
	}
	writeJSON(w, 422, map[string]any{"error": map[string]any{"code": "invalid_settings", "field": rows[0].Field, "text": l.t("error.invalid_settings")}, "problems": rows})
}

func (s *server) apiSaveSettings(w http.ResponseWriter, r *http.Request) error {
	in, problems, err := s.readSettings(r)
	switch {
	case err != nil:
		return err
	case len(problems) > 0:
		writeProblems(w, s.language(r), problems)
		return nil
	case in.Version < 0:
		return invalid("version", "bad_value")
	}
	v, err := s.d.Admin.Save(r.Context(), who(r).user.Login, in.Note, in.Version, in.Settings)
	if errors.Is(err, ErrConflict) {
		return &apiError{Status: 409, Code: "conflict", Field: "version"}
	}
	if err != nil {
		return err
	}
	s.audit(r, "settings", fmt.Sprint(v))
	writeJSON(w, 200, map[string]any{"version": v})
	return nil
}

func (s *server) apiDryRun(w http.ResponseWriter, r *http.Request) error {
	in, problems, err := s.readSettings(r)
	switch {
	case err != nil:
		return err
	case len(problems) > 0:
		writeProblems(w, s.language(r), problems)
		return nil
	}
	if in.Days == 0 {
		in.Days = dryDays
	}
	if in.Days < 1 || in.Days > 366 {
		return invalid("days", "bad_value")
	}
	d, err := s.d.Admin.DryRun(r.Context(), in.Settings, in.Days, 500)
	if err != nil {
		return err
	}
	writeJSON(w, 200, d)
	return nil
}

func (s *server) apiVersions(w http.ResponseWriter, r *http.Request) error {
	if err := s.allowed(r); err != nil {
		return err
	}
	list, err := s.d.Admin.Versions(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"versions": append([]SettingsVersion{}, list...)})
	return nil
}

func (s *server) apiVersion(w http.ResponseWriter, r *http.Request) error {
	v, then, err := s.version(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"version": v.Version, "settings": s.masked(then)})
	return nil
}
