package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/bridge/rules"
	"callbridge/bridge/web"
)

func runApply(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	note := fs.String("note", "", "why, for the list of versions")
	force := fs.Bool("force", false, "also take away all integrations or all users")
	check := fs.Bool("check", false, "only say whether the settings are right")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("name one settings file, or - for standard input")
	}
	e, next, stored, err := c.nextSettings(ctx, *conf, words[0])
	if err != nil {
		return err
	}
	defer e.close()
	gone := takenAway(stored, next)
	for _, g := range gone {
		fmt.Fprintln(c.errOut, "Taken away:", g)
	}
	if emptied := len(stored.Integrations) > 0 && len(next.Integrations) == 0 || len(stored.Users) > 0 && len(next.Users) == 0; emptied && !*force {
		return usagef("%s would take away all integrations or all users; nothing was changed. If that is meant, say -force", words[0])
	}
	if *check {
		_, err := fmt.Fprintln(c.out, "The settings are right; nothing was changed.")
		return err
	}
	for i := range next.Users {
		u := &next.Users[i]
		if u.Password == "" {
			continue
		}
		if u.PasswordHash, err = web.HashPassword(u.Password); err != nil {
			return fmt.Errorf("users[%d].password: %w", i, err)
		}
		u.Password = ""
	}
	v, err := e.db.SaveSettings(ctx, "command line", next, *note)
	if err == nil {
		err = e.db.AddAudit(ctx, "command line", "settings", fmt.Sprint(v))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Version %d of the settings: %d integrations, %d employees, %d lines, %d users. A running daemon takes them within seconds.\n",
		v, len(next.Integrations), len(next.Employees), len(next.Lines), len(next.Users))
	return nil
}

// nextSettings reads a settings file over what is stored: what would be in
// force, and what is. The store is the caller's to close unless err is set.
func (c *cli) nextSettings(ctx context.Context, conf, file string) (e *opened, next, stored bridge.Settings, err error) {
	data, err := c.readSettings(file)
	if err != nil {
		return nil, next, stored, usagef("%v", err)
	}
	if e, err = c.open(ctx, conf); err != nil {
		return nil, next, stored, err
	}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	next, problems, err := config.ParseSettings(data, c.getenv, app.Credentials(), e.country)
	if err != nil {
		return e, next, stored, usagef("%s cannot be used: %v", file, err)
	}
	if stored, _, err = e.db.Settings(ctx); err != nil {
		return e, next, stored, err
	}
	next, more := config.Merge(next, stored)
	if problems = append(problems, more...); len(problems) > 0 {
		return e, next, stored, usagef("%s cannot be used:\n%s", file, config.Problems(problems).Error())
	}
	return e, next, stored, nil
}

func (c *cli) readSettings(name string) ([]byte, error) {
	const limit = 4 << 20
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && len(data) > limit {
		err = errors.New("the settings are larger than 4 MiB")
	}
	return data, err
}

func runExport(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("export takes no words")
	}
	e, err := c.open(ctx, *conf)
	if err != nil {
		return err
	}
	defer e.close()
	s, _, err := e.db.Settings(ctx)
	if err != nil {
		return err
	}
	text, err := config.ExportSettings(s, app.Credentials())
	if err != nil {
		return err
	}
	_, err = c.out.Write(text)
	return err
}

func runConfigdoc(_ context.Context, c *cli, args []string) error {
	fs := c.flags()
	templates := fs.Bool("templates", false, "print what templates may name instead")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("configdoc takes no words")
	}
	if *templates {
		_, err = io.WriteString(c.out, rules.ValuesTable())
		return err
	}
	_, err = io.WriteString(c.out, config.Doc())
	return err
}

// takenAway lists what stands in old and no more in next, for people.
func takenAway(old, next bridge.Settings) []string {
	var out []string
	missing := func(what string, had, has []string) {
		for _, x := range had {
			if !slices.Contains(has, x) {
				out = append(out, what+" "+x)
			}
		}
	}
	ids := func(s bridge.Settings) (in, em, li, us []string) {
		for _, x := range s.Integrations {
			in = append(in, x.ID)
		}
		for _, x := range s.Employees {
			em = append(em, x.Extension)
		}
		for _, x := range s.Lines {
			li = append(li, x.Number)
		}
		for _, x := range s.Users {
			us = append(us, x.Login)
		}
		return in, em, li, us
	}
	oi, oe, ol, ou := ids(old)
	ni, ne, nl, nu := ids(next)
	missing("integration", oi, ni)
	missing("employee with extension", oe, ne)
	missing("line", ol, nl)
	missing("user", ou, nu)
	return out
}
