package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/bridge/web"
)

// runUsers makes the first admin and the tokens of scripts.
func runUsers(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	role := fs.String("role", "agent", "add: admin, supervisor or agent")
	name := fs.String("name", "", "add: the person's name")
	extension := fs.String("extension", "", "add: whose cards are shown")
	language := fs.String("language", "", "add: ru or en; empty: the browser's")
	file := fs.String("password-file", "", "add, password: `file` with the password; without it you are asked")
	asJSON := fs.Bool("json", false, "list: print JSON")
	days := fs.Int("days", 365, "token: how long it is good for")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"list"}
	}
	one := slices.Contains([]string{"add", "password", "remove", "token"}, words[0])
	switch {
	case words[0] == "list" && len(words) == 1:
	case one && len(words) == 2:
	default:
		return usagef("say `users list`, or one of add, password, remove, token with a login")
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	s, base, err := e.db.Settings(ctx)
	if err != nil {
		return err
	}
	at := -1
	if one {
		at = slices.IndexFunc(s.Users, func(u bridge.User) bool { return strings.EqualFold(u.Login, words[1]) })
	}
	if one && words[0] != "add" && at < 0 {
		return fmt.Errorf("there is no user %q; `callbridge users list` shows them", words[1])
	}
	switch words[0] {
	case "list":
		return listUsers(c.out, s.Users, *asJSON)
	case "token":
		return e.giveToken(ctx, c, s.Users[at], *days)
	case "remove":
		s.Users = slices.Delete(s.Users, at, at+1)
	case "add":
		if at >= 0 {
			return fmt.Errorf("there is a user %s already; `callbridge users password %s` gives a new password", words[1], words[1])
		}
		s.Users = append(s.Users, bridge.User{Login: words[1], Name: *name, Role: bridge.Role(*role), Extension: *extension, Language: *language})
		at = len(s.Users) - 1
	}
	if words[0] != "remove" {
		password, err := c.password(*file)
		if err != nil {
			return err
		}
		if s.Users[at].PasswordHash, err = web.HashPassword(password); err != nil {
			return err
		}
	}
	var mine config.Problems
	for _, p := range config.CheckSettings(&s, app.Credentials(), e.country) {
		if strings.HasPrefix(p.Path, "users[") {
			mine = append(mine, p)
		}
	}
	if len(mine) > 0 {
		return usagef("%s", mine.Error())
	}
	if _, err := e.db.SaveSettingsAfter(ctx, "command line", s, words[0]+" user "+words[1], base); err != nil {
		return err
	}
	if words[0] != "add" {
		if err := e.db.DeleteSessionsOf(ctx, words[1]); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "%s: done. A running daemon takes it within seconds.\n", words[1])
	return nil
}

func listUsers(w io.Writer, users []bridge.User, asJSON bool) error {
	if asJSON {
		shown := slices.Clone(users)
		for i := range shown {
			shown[i].PasswordHash = ""
		}
		return printJSONLines(w, shown)
	}
	if len(users) == 0 {
		_, err := fmt.Fprintln(w, "Nobody can sign in yet: `callbridge users add LOGIN --role admin` makes the first one.")
		return err
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LOGIN\tROLE\tEXTENSION\tNAME")
	for _, u := range users {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", u.Login, u.Role, dash(u.Extension), u.Name)
	}
	return t.Flush()
}

// giveToken prints a token once; the store keeps its digest.
func (e *opened) giveToken(ctx context.Context, c *cli, u bridge.User, days int) error {
	if days < 1 || days > 3650 {
		return usagef("-days is 1 to 3650")
	}
	token, err := app.NewToken(ctx, e.db, u.Login, "callbridge users token", time.Duration(days)*24*time.Hour)
	if err != nil {
		return err
	}
	if err := e.db.AddAudit(ctx, "command line", "token", u.Login); err != nil {
		return err
	}
	fmt.Fprintln(c.errOut, "Send it as \"Authorization: Bearer …\". It is shown only now, has the rights of "+u.Login+", and is good for", days, "days.")
	_, err = fmt.Fprintln(c.out, token)
	return err
}

// password reads it from a file, or asks twice on a terminal, or takes the
// first line of what is piped in.
func (c *cli) password(file string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		return strings.TrimRight(string(b), "\r\n"), err
	}
	in := bufio.NewReader(c.in)
	line := func(prompt string) (string, error) {
		fmt.Fprint(c.errOut, prompt)
		s, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && s != "" {
			err = nil
		}
		return strings.TrimRight(s, "\r\n"), err
	}
	f, ok := c.in.(*os.File)
	if !ok || !terminal(f) {
		return line("")
	}
	show := silence(f)
	defer show()
	first, err := line("Password: ")
	if err != nil {
		return "", err
	}
	second, err := line("\nOnce more: ")
	fmt.Fprintln(c.errOut)
	if err == nil && first != second {
		err = errors.New("the two are not the same")
	}
	return first, err
}
