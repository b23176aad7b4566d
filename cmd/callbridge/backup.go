package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbridge/bridge/config"
	"callbridge/store"
)

// runBackup makes, verifies and restores backups of an SQLite database.
func runBackup(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print JSON")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	switch {
	case len(words) == 1 && words[0] != "verify" && words[0] != "restore":
		return c.makeBackup(ctx, *conf, words[0], *asJSON)
	case len(words) == 2 && (words[0] == "verify" || words[0] == "restore"):
	default:
		return usagef("say `backup FILE`, `backup verify FILE` or `backup restore FILE`")
	}
	cfg, err := c.load(*conf)
	if err != nil {
		return err
	}
	key, err := config.SecretKey(cfg.SecretKeyFile)
	if err != nil {
		return err
	}
	id, err := store.KeyID(key)
	if err != nil {
		return err
	}
	if words[0] == "verify" {
		info, err := store.VerifyBackup(ctx, words[1], id)
		if err != nil {
			return err
		}
		return c.tellBackup(info, *asJSON, words[1]+" is whole, and the key file fits.")
	}
	info, old, err := store.Restore(ctx, cfg.Database.Reveal(), words[1], id)
	if errors.Is(err, store.ErrServed) {
		return fmt.Errorf("%w: stop it first (systemctl stop callbridge)", err)
	}
	if err != nil {
		return err
	}
	say := "Restored."
	if old != "" {
		say += " What was there is kept as " + old + "."
	}
	return c.tellBackup(info, *asJSON, say+" What happened after the backup is not in it.")
}

func (c *cli) makeBackup(ctx context.Context, conf, file string, asJSON bool) error {
	e, err := c.open(ctx, conf)
	if err != nil {
		return err
	}
	defer e.close()
	began := time.Now()
	info, err := e.db.Backup(ctx, file)
	if err != nil {
		return err
	}
	return c.tellBackup(info, asJSON, fmt.Sprintf("%s is made and verified, in %s. Keep a copy of %s elsewhere: without it the secrets in the backup cannot be read.",
		file, time.Since(began).Round(10*time.Millisecond), e.cfg.SecretKeyFile))
}

func (c *cli) tellBackup(i store.BackupInfo, asJSON bool, say string) error {
	if asJSON {
		return printJSONLines(c.out, []store.BackupInfo{i})
	}
	_, err := fmt.Fprintf(c.out, "%s\n%d calls, %d events, %d deliveries, settings version %d, schema %d, %.1f MB\n", say, i.Calls, i.Events, i.Deliveries, i.Settings, i.Schema, float64(i.Bytes)/1e6)
	return err
}
