package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The document of the API is held against what the handlers really answer: the
// browser of these tests checks every answer it gets.

type schemaDoc struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema map[string]any `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]map[string]any `json:"schemas"`
	} `json:"components"`
}

var documented = sync.OnceValues(func() (*schemaDoc, error) {
	raw, err := files.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	var d schemaDoc
	return &d, json.Unmarshal(raw, &d)
})

// asDocumented fails the test if an answer of the API is not what the document
// says: an unknown status, a field that is not described, a wrong type.
func asDocumented(t testing.TB, method, path string, a answer) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	if !strings.HasPrefix(path, "/api/") || a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed {
		return
	}
	d, err := documented()
	if err != nil {
		t.Fatal(err)
	}
	for pattern, ops := range d.Paths {
		op, ok := ops[strings.ToLower(method)]
		if !ok || !regexp.MustCompile("^"+regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), "[^/]+")+"$").MatchString(path) {
			continue
		}
		answer, ok := op.Responses[fmt.Sprint(a.status)]
		// What every route may answer is described once, in the document's head.
		if !ok && a.status != 400 && a.status != 401 && a.status != 403 && a.status != 413 && a.status != 500 && a.status != 503 {
			t.Errorf("%s %s answers %d, which is not documented: %s", method, pattern, a.status, a.body)
			return
		}
		schema := answer.Content["application/json"].Schema
		if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || schema == nil {
			return
		}
		var v any
		if err := json.Unmarshal([]byte(a.body), &v); err != nil {
			t.Errorf("%s %s: %v", method, pattern, err)
			return
		}
		if wrong := d.fits(schema, v, method+" "+pattern+": answer"); wrong != "" {
			t.Error(wrong)
		}
		return
	}
}

// fits says what of a value is not as a schema has it, "" if all is.
func (d *schemaDoc) fits(schema map[string]any, v any, at string) string {
	props, open := d.properties(schema)
	kind, _ := d.resolved(schema)["type"].(string)
	if len(props) > 0 {
		kind = "object"
	}
	switch x := v.(type) {
	case nil:
		return ""
	case map[string]any:
		if kind != "" && kind != "object" {
			return at + " is an object and documented as " + kind
		}
		for k, one := range x {
			p, ok := props[k].(map[string]any)
			if !ok {
				if open || len(props) == 0 {
					continue
				}
				return at + "." + k + " is not documented"
			}
			if wrong := d.fits(p, one, at+"."+k); wrong != "" {
				return wrong
			}
		}
	case []any:
		if kind != "" && kind != "array" {
			return at + " is a list and documented as " + kind
		}
		items, _ := d.resolved(schema)["items"].(map[string]any)
		for i, one := range x {
			if wrong := d.fits(items, one, fmt.Sprintf("%s[%d]", at, i)); wrong != "" {
				return wrong
			}
		}
	case string:
		if kind != "" && kind != "string" {
			return at + " is a text and documented as " + kind
		}
	case float64:
		if kind != "" && kind != "integer" && kind != "number" || kind == "integer" && x != float64(int64(x)) {
			return fmt.Sprintf("%s is %v and documented as %s", at, x, kind)
		}
	case bool:
		if kind != "" && kind != "boolean" {
			return at + " is true or false and documented as " + kind
		}
	}
	return ""
}

func (d *schemaDoc) resolved(schema map[string]any) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		return d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	return schema
}

// properties are those of a schema with all it is made of; open says that
// others are allowed.
func (d *schemaDoc) properties(schema map[string]any) (map[string]any, bool) {
	s := d.resolved(schema)
	out, open := map[string]any{}, s["additionalProperties"] != nil
	if p, ok := s["properties"].(map[string]any); ok {
		for k, v := range p {
			out[k] = v
		}
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, part := range all {
			if m, ok := part.(map[string]any); ok {
				p, o := d.properties(m)
				open = open || o
				for k, v := range p {
					out[k] = v
				}
			}
		}
	}
	return out, open
}
