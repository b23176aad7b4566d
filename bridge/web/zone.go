package web

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Times are shown in the reader's zone: his browser tells it by a cookie, and
// who prefers the office's says so in the menu. Without a cookie, and for zones
// nobody knows, it is the office's.
const zoneCookie = "callbridge_zone"

// zoneMost bounds how many zones are kept ready; a visitor who invents more
// gets the office's.
const zoneMost = 64

// zones keeps a set of templates for each zone readers have: what writes a time
// is bound to it.
type zones struct {
	mu     sync.Mutex
	byName map[string]*zoned
}

type zoned struct {
	zone  *time.Location
	pages *template.Template
}

// zone is the reader's.
func (s *server) zone(r *http.Request) *time.Location { return s.zoned(r).zone }

func (s *server) zoned(r *http.Request) *zoned {
	name := ""
	if c, err := r.Cookie(zoneCookie); err == nil && len(c.Value) < 64 {
		if t, err := url.QueryUnescape(c.Value); err == nil {
			name = t
		}
	}
	return s.zones.get(name, s.inZone)
}

func (z *zones) get(name string, open func(*time.Location) *zoned) *zoned {
	z.mu.Lock()
	defer z.mu.Unlock()
	if x, ok := z.byName[name]; ok {
		return x
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" || len(z.byName) >= zoneMost {
		return z.byName[""]
	}
	x := open(zone)
	z.byName[name] = x
	return x
}

// inZone makes the templates for a zone.
func (s *server) inZone(zone *time.Location) *zoned {
	pages := template.Must(s.pages.Clone()).Funcs(timeFuncs(zone))
	return &zoned{zone, pages}
}

// allFuncs are the functions of templates with times in a zone.
func (s *server) allFuncs() template.FuncMap {
	f := s.funcs()
	maps.Copy(f, timeFuncs(s.d.Zone))
	return f
}
