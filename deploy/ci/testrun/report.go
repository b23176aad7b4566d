package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// keep is how many of the last lines of a failed test are shown. A test with
// more to say than that has logged, not reported.
const keep = 400

var (
	turn   = regexp.MustCompile(`^=== (?:RUN|CONT|NAME|PAUSE) +(\S+)`)
	result = regexp.MustCompile(`--- (PASS|FAIL|SKIP): (\S+) \(`)
	ending = regexp.MustCompile(`^(ok  |FAIL)\t(\S+)(.*)`)
	empty  = regexp.MustCompile(`^\?   \t|^\t\S+\t+coverage:`)
)

// report reads the lines of `go test -v`, one package after the other, as go
// test prints them when it tests several.
type report struct {
	out                     io.Writer
	ci                      bool
	passed, failed, skipped int
	skips                   []string // "package.Test"

	// of the package now being read
	current string // test the next lines belong to; "" = none
	order   []string
	lines   map[string][]string
	results map[string]string
}

func newReport(out io.Writer, ci bool) *report {
	r := &report{out: out, ci: ci}
	r.clear()
	return r
}

func (r *report) clear() {
	r.current, r.order = "", nil
	r.lines, r.results = map[string][]string{}, map[string]string{}
}

func (r *report) line(text string) {
	text = strings.TrimRight(text, "\n")
	if m := turn.FindStringSubmatch(text); m != nil {
		r.current = m[1]
		return
	}
	if m := result.FindStringSubmatch(text); m != nil {
		r.current = m[2]
		r.results[m[2]] = m[1]
		if m[1] != "PASS" {
			r.add(text)
		}
		return
	}
	if m := ending.FindStringSubmatch(text); m != nil {
		r.ended(m[1] == "FAIL", m[2], m[3])
		return
	}
	if text == "PASS" || text == "FAIL" || empty.MatchString(text) {
		return
	}
	r.add(text)
}

func (r *report) add(text string) {
	if _, seen := r.lines[r.current]; !seen {
		r.order = append(r.order, r.current)
	}
	all := append(r.lines[r.current], text)
	r.lines[r.current] = all[max(0, len(all)-keep):]
}

// ended is the last line of a package.
func (r *report) ended(failed bool, pkg, rest string) {
	counted := 0
	for test, res := range r.results {
		top := !strings.Contains(test, "/")
		switch {
		case res == "SKIP":
			r.skipped++
			r.skips = append(r.skips, pkg+"."+test)
		case res == "FAIL" && top:
			r.failed++
			counted++
		case res == "PASS" && top:
			r.passed++
		}
	}
	if failed && counted == 0 {
		r.failed++ // it did not build, or died
	}
	if failed {
		for _, test := range r.order {
			// A test that passed has nothing to tell; one without a result was
			// running when the package died.
			if r.results[test] == "PASS" {
				continue
			}
			fmt.Fprintln(r.out, strings.Join(r.lines[test], "\n"))
		}
	}
	word := "ok  "
	if failed {
		word = "FAIL"
	}
	fmt.Fprintf(r.out, "%s %s%s\n", word, pkg, strings.ReplaceAll(rest, "\t", "  "))
	r.clear()
}

// end prints the count and returns the exit code.
func (r *report) end(err error) int {
	if len(r.lines) > 0 && err != nil { // cut off inside a package
		for _, test := range r.order {
			fmt.Fprintln(r.out, strings.Join(r.lines[test], "\n"))
		}
	}
	for _, s := range r.skips {
		if r.ci {
			fmt.Fprintf(r.out, "skipped, which is a failure under CI: %s\n", s)
		} else {
			fmt.Fprintf(r.out, "skipped: %s\n", s)
		}
	}
	if r.ci {
		r.failed, r.skipped = r.failed+r.skipped, 0
	}
	if err != nil {
		fmt.Fprintf(r.out, "go test: %v\n", err)
		r.failed = max(r.failed, 1)
	}
	if r.passed+r.failed+r.skipped == 0 {
		fmt.Fprintln(r.out, "no test was run")
		r.failed = 1
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if r.failed > 0 {
		return 1
	}
	return 0
}
