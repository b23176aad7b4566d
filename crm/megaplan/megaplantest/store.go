package megaplantest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entity is one thing kept. Links inside data are always bare.
type entity struct {
	ct, id  string
	data    object
	created time.Time
	updated time.Time
	steps   []any  // of a deal through its states
	before  object // what a reader who comes too early still sees (quirk 9)
}

func (e *entity) link() object { return object{"contentType": e.ct, "id": e.id} }

// get returns the entity or nil. "Contractor" finds either kind of client.
func (s *Server) get(ct, id string) *entity {
	if ct == "Contractor" {
		if e := s.byID["ContractorHuman"][id]; e != nil {
			return e
		}
		ct = "ContractorCompany"
	}
	return s.byID[ct][id]
}

// insert keeps a new entity. People share one row of ids, as in real accounts.
func (s *Server) insert(ct string, data object) *entity {
	row := ct
	if ct == "Employee" || slices.Contains(clientTypes, ct) {
		row = "people"
		if s.nextID[row] == 0 {
			s.nextID[row] = 1000000
		}
	}
	s.nextID[row]++
	now := s.now()
	e := &entity{ct: ct, id: strconv.Itoa(s.nextID[row]), data: data, created: now, updated: now}
	if s.byID[ct] == nil {
		s.byID[ct] = map[string]*entity{}
	}
	s.byID[ct][e.id] = e
	s.order[ct] = append(s.order[ct], e)
	s.event("on_after_create", e)
	return e
}

// accept checks a body against the schema of ct and returns what is to be
// kept. old is nil for a creation.
func (s *Server) accept(ct string, body object, old *entity) (object, *failure) {
	sch := schemas[ct]
	if got, ok := body["contentType"]; ok && got != ct {
		return nil, invalid("contentType", fmt.Sprintf("'%v' is not assignable to '%s'", got, ct))
	}
	out := object{}
	if old != nil {
		maps.Copy(out, old.data)
	}
	for _, k := range slices.Sorted(maps.Keys(body)) {
		if k == "contentType" || k == "id" {
			continue
		}
		p, ok := sch[k]
		if custom := s.customField(ct, k, body, old); custom != nil {
			p, ok = property{check: custom}, true
		}
		if !ok || p.readOnly {
			return nil, invalid(k, extraField(k, ct))
		}
		if body[k] == nil {
			delete(out, k)
			continue
		}
		v, problem := p.check(s, body[k])
		if problem != "" {
			return nil, invalid(k, problem)
		}
		out[k] = v
	}
	for _, k := range slices.Sorted(maps.Keys(sch)) {
		if v, ok := out[k]; sch[k].required && (!ok || v == "") {
			return nil, invalid(k, fmt.Sprintf("field %q is required", k))
		}
	}
	return out, nil
}

// customField finds the check of a registered custom field, nil if k is none.
func (s *Server) customField(ct, k string, body object, old *entity) check {
	for _, f := range s.fields[s.fieldOwner(ct, body, old)] {
		if f.Name == k {
			return f.check()
		}
	}
	return nil
}

// fieldOwner is whose custom fields count: those of a deal belong to its scheme.
func (s *Server) fieldOwner(ct string, body object, old *entity) string {
	if ct != "Deal" {
		return ct
	}
	p, _ := body["program"].(object)
	if p == nil && old != nil {
		p, _ = old.data["program"].(object)
	}
	return "Program/" + idOf(p["id"])
}

// seen is what a reader gets now; writes to todos may come late.
func (s *Server) seen(e *entity) object {
	if e.before != nil && s.quirks.TodoLag > 0 && s.now().Before(e.updated.Add(s.quirks.TodoLag)) {
		return e.before
	}
	return e.data
}

// full is the entity with the properties that are computed.
func (s *Server) full(e *entity) object {
	out := maps.Clone(s.seen(e))
	out["contentType"], out["id"] = e.ct, e.id
	if _, ok := schemas[e.ct]["timeCreated"]; ok {
		out["timeCreated"] = dateTimeOf(e.created)
	}
	if _, ok := schemas[e.ct]["timeUpdated"]; ok {
		out["timeUpdated"] = dateTimeOf(e.updated)
	}
	switch e.ct {
	case "Employee", "ContractorHuman":
		if name := strings.TrimSpace(str(out["lastName"]) + " " + str(out["firstName"])); name != "" {
			out["name"] = name
		}
	}
	for _, k := range s.quirks.HiddenFields {
		delete(out, k)
	}
	return out
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// renderer writes entities the way Megaplan does: a related entity in full
// where it occurs first in an answer, as a bare link afterwards; with the
// header X-USE-INCLUDED-RESPONSE as links everywhere and in full in included.
type renderer struct {
	s        *Server
	included bool
	met      map[string]bool
	extra    []any
}

func (r *renderer) entity(e *entity, only map[string]bool, depth int) object {
	r.met[e.ct+"/"+e.id] = true
	out := object{}
	all := r.s.full(e)
	// In the order of the document, so that it is always the same occurrence
	// that comes in full.
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if only == nil || only[k] || k == "contentType" || k == "id" {
			out[k] = r.value(all[k], depth)
		}
	}
	return out
}

func (r *renderer) value(v any, depth int) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, it := range v {
			out[i] = r.value(it, depth)
		}
		return out
	case object:
		e := r.target(v)
		if e == nil {
			out := object{}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				out[k] = r.value(v[k], depth)
			}
			return out
		}
		switch {
		case r.met[e.ct+"/"+e.id] || depth >= 5 || r.s.quirks.BareLinks:
			return e.link()
		case r.included:
			r.extra = append(r.extra, r.entity(e, nil, depth+1))
			return e.link()
		}
		return r.entity(e, nil, depth+1)
	}
	return v
}

// target returns the entity if v is a bare link to one.
func (r *renderer) target(v object) *entity {
	if len(v) != 2 {
		return nil
	}
	return r.s.get(str(v["contentType"]), str(v["id"]))
}
