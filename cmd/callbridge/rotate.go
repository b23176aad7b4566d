package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"callbridge/bridge/config"
	"callbridge/store"
)

// runRotateKey encrypts all secrets anew with a fresh key. It can be repeated
// after it was cut off at any point.
func runRotateKey(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("rotate-key takes no words")
	}
	cfg, err := c.load(*conf)
	if err != nil {
		return err
	}
	old, err := config.SecretKey(cfg.SecretKeyFile)
	if err != nil {
		return err
	}
	next, err := config.SecretKey(cfg.SecretKeyFile + ".new") // the one of an attempt that was cut off, if there is one
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := store.Open(ctx, cfg.Database.Reveal(), old, log)
	if errors.Is(err, store.ErrWrongKey) {
		// Cut off after the database took the new key: only the file is left to do.
		if db, err = store.Open(ctx, cfg.Database.Reveal(), next, log); err == nil {
			err = errors.Join(db.Close(), config.TakeNewKey(cfg.SecretKeyFile))
			return c.rotated(cfg, err)
		}
	}
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if _, err := db.Own(ctx); err != nil {
		_ = db.Close() // the first error says what is wrong
		return fmt.Errorf("%w; stop it first (systemctl stop callbridge; with PostgreSQL all nodes), change the key, start it again", err)
	}
	if err := errors.Join(db.RotateKey(ctx, next), db.Close()); err != nil {
		return err
	}
	return c.rotated(cfg, config.TakeNewKey(cfg.SecretKeyFile))
}

func (c *cli) rotated(cfg *config.Config, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "All secrets are encrypted with the new key in %s. Keep a copy of it elsewhere; backups made before need the old one, which is kept as %s.old. Everybody has to sign in again.\n",
		cfg.SecretKeyFile, cfg.SecretKeyFile)
	return err
}
