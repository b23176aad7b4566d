package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"callbridge/bridge/app"
	"callbridge/bridge/config"
)

// runCheck is the doctor (F-12): each line says ok, or what to do.
func runCheck(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print one JSON object per line")
	lang := fs.String("lang", "", "ru or en; else what the environment says")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("check takes no words; one integration is checked with `integrations check ID`")
	}
	ru := *lang == "ru" || *lang == "" && strings.HasPrefix(c.getenv("LC_ALL")+c.getenv("LC_MESSAGES")+c.getenv("LANG"), "ru")
	if *lang != "" && *lang != "ru" && *lang != "en" {
		return usagef("-lang %q: there is ru and en", *lang)
	}
	cfg, err := c.load(*conf)
	if err != nil {
		return err // its faults, each with its line; exit code 2
	}
	found := []app.Finding{{Area: "configuration", What: *conf, State: app.FindingOK}}
	if key, err := config.SecretKey(cfg.SecretKeyFile); err != nil {
		found = append(found, app.Finding{Area: "configuration", What: "secret key", State: app.FindingFailed, En: err.Error(), Ru: err.Error()})
	} else {
		log := slog.New(slog.DiscardHandler) // what goes wrong stands in the report
		found = append(found, app.Examine(ctx, app.Options{Config: cfg, Key: key, Log: log, Version: version})...)
	}
	return tellFindings(c.out, found, *asJSON, ru)
}

// tellFindings prints the report; an error says that something failed.
func tellFindings(w io.Writer, found []app.Finding, asJSON, ru bool) error {
	failed, warned := 0, 0
	marks := map[string]string{app.FindingOK: "ok     ", app.FindingWarning: "warning", app.FindingFailed: "FAILED "}
	area := ""
	for _, f := range found {
		switch f.State {
		case app.FindingFailed:
			failed++
		case app.FindingWarning:
			warned++
		}
		if asJSON {
			continue
		}
		if f.Area != area {
			area = f.Area
			fmt.Fprintf(w, "\n%s\n", area)
		}
		fmt.Fprintf(w, "  %s  %s\n", marks[f.State], f.What)
		say := f.En
		if ru {
			say = f.Ru
		}
		if say != "" {
			fmt.Fprintf(w, "           → %s\n", say)
		}
	}
	if asJSON {
		if err := printJSONLines(w, found); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "\n%d checks, %d failed, %d warnings\n", len(found), failed, warned)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(found))
	}
	return nil
}
