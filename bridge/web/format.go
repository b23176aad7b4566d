package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// assetVersion changes with the embedded files, so that browsers may keep them
// for ever and still get a new one at once.
var assetVersion = func() string {
	h := sha256.New()
	_ = fs.WalkDir(files, "static", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := files.ReadFile(path)
			_, _ = h.Write(b)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

func (s *server) funcs() template.FuncMap {
	return template.FuncMap{
		"number":   s.d.Number,
		"line":     s.lineName,
		"person":   s.person,
		"employee": s.d.Employee,
		"short":    shortID,
		"noteof":   noteOf,
		"after":    func(d time.Duration) string { return fmt.Sprintf("+%.3f", d.Seconds()) },
		"took":     func(d time.Duration) string { return fmt.Sprintf("%d", d.Milliseconds()) },
		"states":   bridge.DeliveryStates,
		"link":     safeLink,
		"add": func(q url.Values, kv ...string) template.URL {
			out := url.Values{}
			for k, v := range q {
				if k != "part" && k != "before" {
					out[k] = v
				}
			}
			for i := 0; i+1 < len(kv); i += 2 {
				out.Set(kv[i], kv[i+1])
			}
			return template.URL("?" + out.Encode()) //nolint:gosec // Encode escapes everything
		},
		"text":    func(v any) string { return fmt.Sprint(v) },
		"initial": initial,
		"sources": func(m map[string]string) string {
			var out []string
			for _, k := range []string{"utm_source", "utm_medium", "utm_campaign"} {
				if m[k] != "" {
					out = append(out, m[k])
				}
			}
			return strings.Join(out, " / ")
		},
		"lineof": s.d.Line,
		"icon": func(name string) template.HTML {
			return template.HTML(`<svg class="i" aria-hidden="true"><use href="/static/sprite.svg?v=` + assetVersion + `#` + template.HTMLEscapeString(name) + `"/></svg>`) //nolint:gosec // escaped
		},
		"has":        func(list []string, v string) bool { return slices.Contains(list, v) },
		"under":      func(path, name string) bool { return strings.HasPrefix(path, name+".") },
		"fieldlabel": fieldLabel,
		"fieldhelp":  fieldHelp,
		"inc":        func(i int) int { return i + 1 },
		"list":       func(v ...string) []string { return v },
		"fill":       func(text string, n any) string { return strings.ReplaceAll(text, "{n}", fmt.Sprint(n)) },
		"pair":       func(p page, data any) pair { return pair{p, data} },
	}
}

// timeFuncs write moments in a zone.
func timeFuncs(zone *time.Location) template.FuncMap {
	return template.FuncMap{
		"clock":  func(t bridge.Time) string { return local(zone, t, "15:04:05") },
		"milli":  func(t bridge.Time) string { return local(zone, t, "15:04:05.000") },
		"minute": func(t bridge.Time) string { return local(zone, t, "15:04") },
		"stamp":  func(t bridge.Time) string { return local(zone, t, "02.01.2006 15:04:05") },
		"iso": func(t bridge.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.UTC().Format(time.RFC3339)
		},
		"day": func(l lang, t bridge.Time) string {
			if t.IsZero() {
				return ""
			}
			at, now := t.In(zone), time.Now().In(zone)
			switch at.Format(time.DateOnly) {
			case now.Format(time.DateOnly):
				return at.Format("15:04")
			case now.AddDate(0, 0, -1).Format(time.DateOnly):
				return l.t("time.yesterday") + ", " + at.Format("15:04")
			}
			return at.Format("02.01, 15:04")
		},
	}
}

// pair gives a part of a page both the page and its own data.
type pair struct {
	Page page
	Data any
}

func local(zone *time.Location, t bridge.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(layout)
}

// length writes a duration as people read a clock: 0:07, 12:30, 1:02:03.
func length(d time.Duration) string {
	n := int(d.Round(time.Second) / time.Second)
	if n >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%d:%02d", n/60, n%60)
}

// safeLink lets web addresses through and nothing that could run as a script.
func safeLink(s string) string {
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return s
	}
	return ""
}

// initial is the first letter of a name, for the round badge.
func initial(name string) string {
	for _, c := range strings.ToUpper(name) {
		return string(c)
	}
	return "?"
}
