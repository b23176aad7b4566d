package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/bridge/trace"
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
	key, err := secretKey(cfg)
	if err != nil {
		return err
	}
	log, level := logger(cfg, c.errOut)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before anything else: it would end the program
	defer signal.Stop(hup)
	loud := make(chan os.Signal, 1)
	if s := louder(); len(s) > 0 { // without any Notify would mean all signals
		signal.Notify(loud, s...)
		defer signal.Stop(loud)
	}
	stopProfile, err := startProfile(c.getenv(profileVariable))
	if err != nil {
		return err
	}
	defer func() { _ = stopProfile() }() // a profile is for measuring only
	began := time.Now()
	tr, err := c.tracer(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tr.Stop(sctx) // what was not sent has been counted and told
	}()
	a, err := app.New(ctx, app.Options{Config: cfg, Key: key, OldKeys: config.OldKeys(cfg.SecretKeyFile), Log: log, Level: level, Version: version, Trace: tr})
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	log.Info("callbridge serves", "address", a.Addr(), "version", version, "pid", os.Getpid(), "start_ms", time.Since(began).Milliseconds())
	if !a.HasUsers() {
		fmt.Fprintln(c.errOut, "Nobody can sign in yet: `callbridge users add LOGIN --role admin` makes the first admin (with -c, if the configuration is named otherwise).")
	}
	for running := true; running; {
		select {
		case <-hup:
			c.reload(a, log, *conf)
		case <-loud:
			a.Louder()
		case <-ctx.Done():
			running = false
		}
	}
	log.Info("stopping")
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := a.Stop(sctx); err != nil {
		return err
	}
	log.Info("stopped; nothing is lost")
	return nil
}

// tracer makes what follows calls, nil if nobody wants that.
func (c *cli) tracer(ctx context.Context, cfg *config.Config, log *slog.Logger) (*trace.Tracer, error) {
	o := trace.Options{Endpoint: cfg.Traces.Endpoint, Token: cfg.Traces.Token.Reveal(), Version: version, Log: log, Getenv: c.getenv}
	if p := cfg.Traces.Percent; p != nil {
		share := float64(*p) / 100
		o.Share = &share
	}
	tr, err := trace.New(ctx, o)
	switch {
	case errors.Is(err, trace.ErrOff):
		return nil, nil
	case err != nil:
		return nil, usagef("traces: %v", err)
	}
	log.Info("calls are followed by traces")
	return tr, nil
}

// reload reads the configuration again (SIGHUP, systemctl reload). A file that
// cannot be used changes nothing, and the log says what is wrong with it.
func (c *cli) reload(a *app.App, log *slog.Logger, path string) {
	next, err := config.Load(path, c.getenv)
	if err != nil {
		a.ReloadRefused()
		log.Error("the configuration cannot be used; the one in force stays", "file", path, "err", err)
		return
	}
	later := a.Reload(next)
	log.Info("the configuration was read again", "file", path, "level", next.Log.Level)
	if len(later) > 0 {
		log.Warn("some changes of the configuration count from the next start on", "keys", strings.Join(later, " "))
	}
}
