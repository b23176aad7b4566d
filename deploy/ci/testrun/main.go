// Command testrun runs `go test -v` with its own arguments and prints what a
// person wants of it: one line per package, and everything about failed tests.
// Its last line counts the tests. Where CI=true is set a skipped test is a
// failed one: a machine without Chromium or Asterisk must not look green.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv("CI") == "true", os.Stdout, os.Stderr))
}

func run(args []string, ci bool, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-v"}, args...)...)
	cmd.Stderr = stderr // what the compiler says
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(stderr, "testrun:", err)
		return 1
	}
	r := newReport(stdout, ci)
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	return r.end(err)
}
