package megaplan

import (
	"html"
	"maps"
	"slices"
	"strings"
)

// Descriptions are HTML in Megaplan (1.6 no. 15): what goes in is escaped.

// paragraph writes text with its line breaks.
func paragraph(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return "<p>" + strings.ReplaceAll(html.EscapeString(text), "\n", "<br>") + "</p>"
}

// anchor writes a link, "" for no address.
func anchor(title, address string) string {
	if address == "" {
		return ""
	}
	return `<p><a href="` + html.EscapeString(address) + `">` + html.EscapeString(title) + "</a></p>"
}

// pairs writes name and value per line, sorted.
func pairs(m map[string]string) string {
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] != "" {
			lines = append(lines, k+": "+m[k])
		}
	}
	return paragraph(strings.Join(lines, "\n"))
}

// marker carries our key, as Megaplan has no external ids for these objects.
// The brackets keep …:task-1 from being found in …:task-10.
func marker(key string) string { return paragraph("[" + key + "]") }

func marked(description, key string) bool {
	return key != "" && strings.Contains(html.UnescapeString(description), "["+key+"]")
}
