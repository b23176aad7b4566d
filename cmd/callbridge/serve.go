package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"callbridge/bridge/app"
	"callbridge/bridge/config"
)

func runServe(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("serve takes no words; the configuration is named with -c")
	}
	cfg, err := c.load(*conf)
	if err != nil {
		return err
	}
	key, err := config.SecretKey(cfg.SecretKeyFile)
	if err != nil {
		return err
	}
	log, _ := logger(cfg, c.errOut)
	began := time.Now()
	a, err := app.New(ctx, app.Options{Config: cfg, Key: key, Log: log, Version: version})
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	log.Info("callbridge serves", "address", a.Addr(), "version", version, "pid", os.Getpid(), "start_ms", time.Since(began).Milliseconds())
	if !a.HasUsers() {
		fmt.Fprintln(c.errOut, "Nobody can sign in yet: put users into the settings and run `callbridge apply settings.yaml` (see the README).")
	}
	<-ctx.Done()
	log.Info("stopping")
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := a.Stop(sctx); err != nil {
		return err
	}
	log.Info("stopped; nothing is lost")
	return nil
}
