// Package setting is how an adapter declares what the user must fill in. One
// list drives the form, the check, the masking and the docs.
package setting

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Field is one value the user fills in.
type Field struct {
	Name     string // key in the settings file
	Label    string // English; pages translate it by Name
	Help     string // what to click, where to find the value
	Required bool
	Secret   bool     // encrypted at rest, masked everywhere
	Account  bool     // says who logs in where: part of named credentials
	URL      bool     // must be an absolute http(s) address
	OneOf    []string // closed list of values; empty = free text
	Default  string
}

// Values are the filled-in fields.
type Values map[string]string

// Get returns the value, or the field's default when it is empty.
func (v Values) Get(f Field) string {
	if s := v[f.Name]; s != "" {
		return s
	}
	return f.Default
}

// Problem is one fault with the path of the value.
type Problem struct {
	Path string
	Text string
}

func (p Problem) String() string { return p.Path + ": " + p.Text }

// Validate returns all faults of v against fields, paths prefixed.
func Validate(prefix string, fields []Field, v Values) []Problem {
	var out []Problem
	known := map[string]bool{}
	for _, f := range fields {
		known[f.Name] = true
		s := strings.TrimSpace(v.Get(f))
		path := prefix + f.Name
		switch {
		case s == "" && f.Required:
			out = append(out, Problem{path, "is missing. " + f.Help})
		case s == "":
		case f.URL && !absolute(s):
			out = append(out, Problem{path, fmt.Sprintf("%q is no full address such as https://example.ru. %s", s, f.Help)})
		case len(f.OneOf) > 0 && !slices.Contains(f.OneOf, s):
			out = append(out, Problem{path, fmt.Sprintf("%q is not one of %s", s, strings.Join(f.OneOf, ", "))})
		}
	}
	for k := range v {
		if !known[k] {
			out = append(out, Problem{prefix + k, "is not known here"})
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// Mask is what stands for a secret wherever it is shown. Given back in a
// settings file it means: keep the stored one.
const Mask = "••••••"

// Masked returns v with every secret replaced.
func Masked(fields []Field, v Values) Values {
	out := Values{}
	secret := map[string]bool{}
	for _, f := range fields {
		secret[f.Name] = f.Secret
	}
	for k, s := range v {
		if s != "" && secret[k] {
			s = Mask
		}
		out[k] = s
	}
	return out
}
