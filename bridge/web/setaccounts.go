package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/setting"
)

// credentialForm is the page of a named account of a CRM: who logs in where
// (M-1.1 to M-1.5). With then=integration it is the first step of connecting
// one: choose an account that is there, or add another.
type credentialForm struct {
	form
	New    bool
	Then   bool
	Kind   Kind
	Cr     bridge.Credential
	Others []bridge.Credential // to choose from
	Used   []string            // integrations that use it
	Tried  *checked
	Kept   string
	typed  map[string]string
}

// Value is what stands in the box of a field.
func (f credentialForm) Value(field setting.Field) string { return shown(field, f.Cr.Values) }

// Fields are those of the account alone; what else a driver asks for belongs to
// the integration.
func (f credentialForm) Fields() []setting.Field {
	return slices.DeleteFunc(slices.Clone(f.Kind.Fields), func(x setting.Field) bool { return !x.Account })
}

func (s *server) credentialPage(w http.ResponseWriter, r *http.Request) error {
	now, f, err := s.begin(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	v := credentialForm{form: f, New: id == "new", Then: r.FormValue("then") == "integration"}
	at := slices.IndexFunc(now.Credentials, func(c bridge.Credential) bool { return c.ID == id })
	switch {
	case v.New:
		kind := r.FormValue("kind")
		at = len(now.Credentials)
		v.Cr = bridge.Credential{Kind: kind, ID: freeID(kind, func(id string) bool {
			return slices.ContainsFunc(now.Credentials, func(c bridge.Credential) bool { return c.ID == id })
		})}
	case at < 0:
		return ErrNotFound
	default:
		v.Cr = now.Credentials[at]
	}
	kinds := s.d.Admin.Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == v.Cr.Kind })
	if i < 0 {
		return ErrNotFound
	}
	v.Kind = kinds[i]
	for _, c := range now.Credentials {
		if c.Kind == v.Cr.Kind && c.ID != v.Cr.ID {
			v.Others = append(v.Others, c)
		}
	}
	for _, in := range now.Integrations {
		if in.CredentialsID == v.Cr.ID && in.Kind == v.Cr.Kind && !v.New {
			v.Used = append(v.Used, in.ID)
		}
	}
	if r.Method == http.MethodPost {
		if to, err := s.saveCredential(r, &v, now, at); to != "" || err != nil {
			if err == nil {
				http.Redirect(w, r, to, http.StatusSeeOther)
			}
			return err
		}
	}
	return s.settingsRender(w, r, v.status(), "setcredential.html", "set.credential", v)
}

// saveCredential takes what was typed; it returns where to go on, "" to show
// the form again.
func (s *server) saveCredential(r *http.Request, v *credentialForm, now bridge.Settings, at int) (string, error) {
	next := now
	if r.PostForm.Get("do") == "remove" && !v.New {
		if len(v.Used) > 0 {
			v.Other = append(v.Other, s.language(r).t("set.credential.used")+" "+strings.Join(v.Used, ", "))
			return "", nil
		}
		next.Credentials = slices.Delete(slices.Clone(now.Credentials), at, at+1)
		done, err := s.finish(r, &v.form, next, "account "+v.Cr.ID+" removed", func(string) (string, bool) { return "", false })
		if !done {
			return "", err
		}
		return "/settings?saved=1", err
	}
	session := who(r).digest
	v.Cr.Name = strings.TrimSpace(r.PostForm.Get("name"))
	// What else is stored with the account stays: the form does not show it.
	rest := map[string]string{}
	for _, f := range v.Kind.Fields {
		if x := v.Cr.Values[f.Name]; !f.Account && x != "" {
			rest[f.Name] = x
		}
	}
	v.Cr.Values, v.typed = readValues(r, "values.", v.Fields(), v.Cr.Values, s.unseal(session, r.PostForm.Get("kept")))
	for name, x := range rest {
		v.Cr.Values[name] = x
	}
	v.Kept = s.seal(session, v.typed)
	next.Credentials = slices.Clone(now.Credentials)
	if v.New {
		next.Credentials = append(next.Credentials, v.Cr)
	} else {
		next.Credentials[at] = v.Cr
	}
	prefix := fmt.Sprintf("credentials[%d].", at)
	if r.PostForm.Get("do") == "check" {
		if full, ok := s.tryable(r, &v.form, next, prefix, &v.Tried); ok {
			cr := full.Credentials[at]
			s.tryNow(r, bridge.Integration{ID: cr.ID, Kind: cr.Kind, Credentials: cr.Values}, &v.Tried)
		}
		return "", nil
	}
	done, err := s.finish(r, &v.form, next, "account "+v.Cr.ID, func(path string) (string, bool) { return strings.CutPrefix(path, prefix) })
	switch {
	case !done:
		return "", err
	case v.Then:
		return "/settings/integrations/new?kind=" + url.QueryEscape(v.Cr.Kind) + "&credentials=" + url.QueryEscape(v.Cr.ID), err
	}
	return "/settings/credentials/" + url.PathEscape(v.Cr.ID) + "?saved=1", err
}
