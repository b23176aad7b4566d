package main

import (
	"errors"
	"strings"
	"testing"
)

const output = `=== RUN   TestGood
    good_test.go:5: chatter
--- PASS: TestGood (0.00s)
=== RUN   TestTable
=== RUN   TestTable/one
    table_test.go:9: not one
=== RUN   TestTable/two
--- FAIL: TestTable (0.00s)
    --- FAIL: TestTable/one (0.00s)
    --- PASS: TestTable/two (0.00s)
FAIL
FAIL	callbridge/a	0.011s
=== RUN   TestBrowser
    page_test.go:7: no Chromium
--- SKIP: TestBrowser (0.00s)
=== RUN   TestPlain
--- PASS: TestPlain (0.00s)
PASS
ok  	callbridge/b	0.100s
?   	callbridge/c	[no test files]
FAIL	callbridge/d [build failed]
=== RUN   TestHangs
panic: test timed out after 1s
FAIL	callbridge/e	1.000s
FAIL
`

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		ci   bool
		err  error
		last string
		code int
	}{
		"at home": {false, errors.New("exit status 1"), "2 passed, 3 failed, 1 skipped", 1},
		"in CI":   {true, errors.New("exit status 1"), "2 passed, 4 failed, 0 skipped", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, code := play(output, c.ci, c.err)
			if code != c.code || !strings.HasSuffix(got, "\n"+c.last+"\n") {
				t.Errorf("exit %d\n%s", code, got)
			}
			for _, want := range []string{"not one", "--- FAIL: TestTable/one", "FAIL callbridge/a  0.011s", "ok   callbridge/b  0.100s",
				"callbridge/b.TestBrowser", "FAIL callbridge/d [build failed]", "panic: test timed out"} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			for _, unwanted := range []string{"chatter", "callbridge/c", "=== RUN", "TestTable/two"} {
				if strings.Contains(got, unwanted) {
					t.Errorf("%q in\n%s", unwanted, got)
				}
			}
		})
	}
}

// A skipped test alone makes CI fail, though go test is content.
func TestSkipFailsCI(t *testing.T) {
	const skipped = "=== RUN   TestA\n--- SKIP: TestA (0.00s)\nPASS\nok  \tcallbridge/a\t0.1s\n"
	if got, code := play(skipped, true, nil); code != 1 || !strings.Contains(got, "0 passed, 1 failed, 0 skipped") {
		t.Errorf("exit %d\n%s", code, got)
	}
	if got, code := play(skipped, false, nil); code != 0 || !strings.Contains(got, "0 passed, 0 failed, 1 skipped") {
		t.Errorf("exit %d\n%s", code, got)
	}
}

func TestNothingRunFails(t *testing.T) {
	if got, code := play("?   \tcallbridge/a\t[no test files]\n", false, nil); code != 1 {
		t.Errorf("exit %d\n%s", code, got)
	}
}

func play(text string, ci bool, err error) (string, int) {
	var out strings.Builder
	r := newReport(&out, ci)
	for line := range strings.Lines(text) {
		r.line(line)
	}
	code := r.end(err)
	return out.String(), code
}
