package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/phone"
	"callbridge/store"
)

// load reads the configuration. Its faults are told one per line, and the
// exit code is 2.
func (c *cli) load(path string) (*config.Config, error) {
	cfg, err := config.Load(path, c.getenv)
	if err == nil {
		return cfg, nil
	}
	if p, ok := errors.AsType[config.Problems](err); ok {
		return nil, usagef("%s cannot be used:\n%s", path, p.Error())
	}
	return nil, usagef("%v\n`callbridge configdoc` prints a sample to begin with", err)
}

// secretKey reads the key, or makes it at the first start. Where there is a
// database already, a new key would be of no use: it opens nothing in it.
func secretKey(cfg *config.Config) ([]byte, error) {
	if file, ok := strings.CutPrefix(cfg.Database.Reveal(), "sqlite:"); ok {
		_, noKey := os.Stat(cfg.SecretKeyFile)
		if st, err := os.Stat(file); err == nil && st.Size() > 0 && errors.Is(noKey, fs.ErrNotExist) {
			return nil, fmt.Errorf("secret_key_file: %s is missing, and the database %s was made with it: put your copy of the key back", cfg.SecretKeyFile, file)
		}
	}
	return config.SecretKey(cfg.SecretKeyFile)
}

// logger logs as the configuration says.
func logger(cfg *config.Config, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level.Set(slog.LevelInfo) // Validate has refused every other word
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), level
	}
	return slog.New(slog.NewTextHandler(w, o)), level
}

// opened is the store as the commands that read and change it see it.
type opened struct {
	cfg     *config.Config
	db      *store.DB
	zone    *time.Location
	country string
}

// open opens the store of a configuration, beside a running daemon or without one.
func (c *cli) open(ctx context.Context, path string) (*opened, error) {
	cfg, err := c.load(path)
	if err != nil {
		return nil, err
	}
	key, err := secretKey(cfg)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, cfg.Database.Reveal(), key, slog.New(slog.NewTextHandler(c.errOut, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	zone, err := time.LoadLocation(cfg.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	return &opened{cfg: cfg, db: db, zone: zone, country: cfg.Country}, nil
}

func (e *opened) close() { _ = e.db.Close() } // nothing was left to write

// known refuses an id that no integration has, now or in what is kept: a typing
// error must not look like "nothing".
func (e *opened) known(ctx context.Context, integration string) error {
	if integration == "" {
		return nil
	}
	s, _, err := e.db.Settings(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, in := range s.Integrations {
		if in.ID == integration {
			return nil
		}
		ids = append(ids, in.ID)
	}
	rows, err := e.db.Deliveries(ctx, store.DeliveryFilter{Integration: integration, Limit: 1})
	if err != nil || len(rows) > 0 {
		return err
	}
	return usagef("-integration %q: there is no such integration; there are: %s", integration, strings.Join(ids, ", "))
}

func (e *opened) number(raw string) bridge.Number {
	n, _ := phone.Parse(raw, e.country)
	return n
}
