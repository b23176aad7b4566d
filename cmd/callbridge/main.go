// Command callbridge joins a company's telephone system to its CRM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // a bare system may lack the list of time zones
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes: scripts rely on them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one subcommand. run returns an error for people; usageError
// means exit code 2.
type command struct {
	name  string
	args  string
	short string
	run   func(ctx context.Context, c *cli, args []string) error
}

func commands() []command {
	return []command{
		{"serve", "-c callbridge.yaml", "run the daemon", runServe},
		{"demo", "", "simulated PBX, sandbox CRMs and all pages; nothing to configure", runDemo},
		{"sandbox", "", "the sandbox CRMs alone, each on its own port", runSandbox},
		{"replay", "FILE…", "put recorded ARI streams, or a case file, through the whole bridge", runReplay},
		{"calls", "list | show ID [-events] | case ID | gaps", "calls and what became of them, and when a PBX could not be seen", runCalls},
		{"check", "", "the doctor: everything calls depend on, line by line", runCheck},
		{"deliveries", "list | ledger | show ID… | retry ID… | repair ID | skip ID…", "the ledger of actions", runDeliveries},
		{"integrations", "list | check ID | activate ID | deactivate ID", "CRM accounts", runIntegrations},
		{"resend", "-integration ID", "send kept calls again, count and cost first", runResend},
		{"sync", "[ID…]", "read the employees of the CRMs now", runSync},
		{"call-link", "INTEGRATION", "sign an address that orders calls, for a button in a CRM", runCallLink},
		{"apply", "settings.yaml", "put settings in force", runApply},
		{"export", "", "print the settings in force, secrets masked", runExport},
		{"personal", "search NUMBER | export NUMBER | erase NUMBER | retention", "what is kept about a client's number, and removing it", runPersonal},
		{"users", "list | add LOGIN | password LOGIN | remove LOGIN | token LOGIN", "who may sign in, and tokens for scripts", runUsers},
		{"dryrun", "settings.yaml", "what these rules would have done with stored calls; sends nothing", runDryrun},
		{"configdoc", "", "print the commented sample configuration", runConfigdoc},
		{"backup", "FILE | verify FILE | restore FILE", "a verified copy of the database while it runs", runBackup},
		{"rotate-key", "", "encrypt all secrets with a fresh key", runRotateKey},
		{"load", "", "measure the daemon under load: calls, agents, CRMs, all simulated", runLoad},
		{"version", "", "print the version", runVersion},
	}
}

// cli is what a subcommand may touch of the outside.
type cli struct {
	name   string
	args   string
	in     io.Reader
	out    io.Writer
	errOut io.Writer
	getenv func(string) string
}

// usageError is a wrong command line: exit code 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) == 0 {
		usage(errOut)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(out)
		return exitOK
	case "-version", "--version":
		args = []string{"version"}
	}
	for _, cmd := range commands() {
		if cmd.name != args[0] {
			continue
		}
		c := &cli{name: cmd.name, args: cmd.args, in: in, out: out, errOut: errOut, getenv: os.Getenv}
		err := cmd.run(ctx, c, args[1:])
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case isUsage(err):
			fmt.Fprintf(errOut, "callbridge %s: %v\n", cmd.name, err)
			return exitUsage
		default:
			fmt.Fprintf(errOut, "callbridge %s: %v\n", cmd.name, err)
			return exitFailed
		}
	}
	fmt.Fprintf(errOut, "callbridge: there is no command %q; `callbridge help` lists them\n", args[0])
	return exitUsage
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*usageError](err)
	return ok
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Callbridge joins a telephone system to the CRM.\n\nUsage: callbridge COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-13s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\n`callbridge COMMAND --help` tells more. Exit code 0: done, 1: failed, 2: wrong use or configuration.\n")
}

// flags makes the flag set of a subcommand; its --help goes to the output.
func (c *cli) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads flags wherever they stand and returns the other words.
func (c *cli) parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var words []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprintf(c.out, "Usage: callbridge %s [flags] %s\n", c.name, c.args)
				fs.SetOutput(c.out)
				fs.PrintDefaults()
				return nil, err
			}
			return nil, usagef("%v", err)
		}
		args = fs.Args()
		if len(args) == 0 {
			return words, nil
		}
		if args[0] == "--" {
			return append(words, args[1:]...), nil
		}
		words, args = append(words, args[0]), args[1:]
	}
}

func runVersion(_ context.Context, c *cli, args []string) error {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return usagef("version takes no words")
	}
	if _, err := c.parse(c.flags(), args); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, "callbridge", version)
	return err
}
