package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/setting"
)

// Problems are all faults of a file, one per line.
type Problems []setting.Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, q := range p {
		lines[i] = q.String()
	}
	return strings.Join(lines, "\n")
}

// faults collects problems.
type faults struct{ list []setting.Problem }

func (v *faults) add(path, format string, args ...any) {
	v.list = append(v.list, setting.Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (v *faults) zone(path, name string, required bool) {
	if name == "" && !required {
		return
	}
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		v.add(path, "%q is no time zone; write it as in Europe/Moscow", name)
	}
}

func (v *faults) country(path, code string, required bool) {
	if code == "" && !required {
		return
	}
	if !phone.IsCountry(code) {
		v.add(path, "%q is no country; write two letters as in RU", code)
	}
}

func (v *faults) days(path string, n int) {
	if n < 0 || n > 36500 {
		v.add(path, "%d is no number of days", n)
	}
}

func (v *faults) span(path string, d bridge.Duration, most time.Duration) {
	if d < 0 || time.Duration(d) > most {
		v.add(path, "%s is out of range: 0s to %s", time.Duration(d), most)
	}
}

// oneOf wants one of the words and offers the nearest.
func (v *faults) oneOf(path, word string, words ...string) {
	if slices.Contains(words, word) {
		return
	}
	if word == "" {
		v.add(path, "is missing: one of %s", strings.Join(words, ", "))
		return
	}
	v.add(path, "%q is not one of %s%s", word, strings.Join(words, ", "), meant(word, words))
}

// kind tells of a kind of PBX that this program does not have.
func (v *faults) kind(path, word string) {
	known := strings.Join(Kinds(), ", ")
	if word == "" {
		v.add(path, "is missing; there is: %s", known)
		return
	}
	v.add(path, "%q is no kind of PBX this version can speak with; there is: %s", word, known)
}

// meant offers the word that was probably meant: "; did you mean listen?"
func meant(word string, words []string) string {
	best, at := "", max(2, len(word)/3)+1
	for _, w := range words {
		if d := distance(strings.ToLower(word), w); d < at {
			best, at = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the letters to add, drop, change or swap between two words.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	ra, rb := []rune(a), []rune(b)
	prev2, prev := make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		cur := make([]int, len(rb)+1)
		cur[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev = prev, cur
	}
	return prev[len(rb)]
}
