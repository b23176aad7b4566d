package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/bridge/web"
	"callbridge/pbx/ari/arisim"
)

// demoLogins are for a program that listens on loopback only and keeps
// nothing: they are meant to be known.
var demoLogins = []struct {
	login, password, extension string
	role                       bridge.Role
}{
	{"admin", "demoadmin", "", bridge.Admin},
	{"ivan", "demoivan", "101", bridge.Agent},
	{"olga", "demoolga", "102", bridge.Agent},
}

func runDemo(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	listen := fs.String("listen", "127.0.0.1:8080", "address of the pages")
	every := fs.Duration("every", 10*time.Second, "mean time between two calls")
	verbose := fs.Bool("v", false, "log to standard error")
	wish := wishes(fs)
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("demo takes no words")
	}
	if wish.list {
		return listScenarios(c.out)
	}
	if err := wish.check(); err != nil {
		return err
	}
	if *every < time.Second {
		return usagef("-every %s: want a second or more", *every)
	}
	if host, _, err := net.SplitHostPort(*listen); err != nil || !net.ParseIP(host).IsLoopback() {
		return usagef("-listen %q: the demo's passwords are public, so it listens on a loopback address only, such as 127.0.0.1:8080", *listen)
	}
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(c.errOut, nil))
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintf(c.out, "%s is used by another program; the pages get a free port instead.\n", *listen)
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	d, err := startDemo(ctx, log, l)
	if err != nil {
		return err
	}
	d.greet(c.out)
	if len(wish.scenarios()) > 0 {
		err = wish.play(ctx, d.sim, *every, c.out)
	} else {
		err = d.sim.Loop(ctx, arisim.LoopOptions{Clients: d.world.callers(), Phones: []string{"101", "102", "103"}, Every: *every})
	}
	if ctx.Err() != nil {
		err = nil // Ctrl-C is how a demo ends
	}
	return errors.Join(err, d.stop())
}

// demoRun is a running demo: the invented company, its PBX and the program.
type demoRun struct {
	world *world
	crms  [2]served
	sim   *arisim.Sim
	app   *app.App
	opts  app.Options // what app was made with
	undo  []func() error
}

// stop ends everything in reverse order.
func (d *demoRun) stop() error {
	var errs []error
	for _, f := range slices.Backward(d.undo) {
		errs = append(errs, f())
	}
	d.undo = nil
	return errors.Join(errs...)
}

// startDemo starts everything but the calls; it owns the listener.
func startDemo(ctx context.Context, log *slog.Logger, l net.Listener) (*demoRun, error) {
	d := &demoRun{world: newWorld()}
	if err := d.start(ctx, log, l); err != nil {
		return nil, errors.Join(err, l.Close(), d.stop())
	}
	return d, nil
}

func (d *demoRun) start(ctx context.Context, log *slog.Logger, l net.Listener) error {
	dir, err := os.MkdirTemp("", "callbridge-demo-")
	if err != nil {
		return err
	}
	d.undo = append(d.undo, func() error { return os.RemoveAll(dir) })
	var wg sync.WaitGroup
	wctx, stopCRMs := context.WithCancel(context.WithoutCancel(ctx))
	d.undo = append(d.undo, func() error { stopCRMs(); wg.Wait(); return nil })
	if d.crms, err = d.world.serve(wctx, [2]int{}, &wg); err != nil {
		return err
	}
	d.sim = arisim.New(arisim.Options{OriginateSpeed: 0.5})
	if err := d.sim.Start(); err != nil {
		return err
	}
	d.undo = append(d.undo, func() error { d.sim.Close(); return nil })

	cfg := config.Default()
	cfg.Database = config.Secret("sqlite:" + filepath.Join(dir, "demo.db"))
	cfg.Listen = l.Addr().String()
	cfg.PublicURL = "http://" + l.Addr().String()
	cfg.FrameAncestors = []string{d.crms[0].url}
	d.world.megaplan.SetPage(demoApplication, cfg.PublicURL+"/hooks/megaplan-main/widget")
	cfg.PBX = []config.PBX{{ID: "office", Kind: "asterisk", URL: d.sim.URL(), Username: d.sim.Username(), Password: config.Secret(d.sim.Password()),
		App: "callbridge", Trunks: []string{"trunk"}}}
	key, err := config.NewKey()
	if err != nil {
		return err
	}
	var logins []string
	for _, u := range demoLogins {
		logins = append(logins, u.login+" / "+u.password)
	}
	hint := strings.Join(logins, ", ")
	d.opts = app.Options{Config: cfg, Key: key, Log: log, Version: version, Listener: l, Demo: hint}
	if d.app, err = app.New(ctx, d.opts); err != nil {
		return err
	}
	d.undo = append(d.undo, func() error {
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		return d.app.Stop(sctx)
	})
	s, err := d.settings()
	if err != nil {
		return err
	}
	if _, err := d.app.Apply(ctx, "demo", "", s); err != nil {
		return err
	}
	return d.app.Start()
}

// settings are the company's, with the demo's users.
func (d *demoRun) settings() (bridge.Settings, error) {
	s := d.world.settings(d.crms[0].url, d.crms[1].url)
	for _, u := range demoLogins {
		hash, err := web.HashPassword(u.password)
		if err != nil {
			return s, err
		}
		user := bridge.User{Login: u.login, Role: u.role, Extension: u.extension, PasswordHash: hash}
		for _, p := range colleagues {
			if p.extension == u.extension {
				user.Name = p.first + " " + p.last
			}
		}
		s.Users = append(s.Users, user)
	}
	return s, nil
}

// greet says where everything is.
func (d *demoRun) greet(out io.Writer) {
	fmt.Fprintf(out, "Callbridge demo\n\n  Agent page    http://%s/agent\n  Console       http://%s/\n", d.app.Addr(), d.app.Addr())
	for _, s := range d.crms {
		fmt.Fprintf(out, "  %-13s %s/\n", s.title, s.url)
	}
	fmt.Fprint(out, "\n  Login         Password\n")
	for _, u := range demoLogins {
		what := string(u.role)
		if u.extension != "" {
			what += ", phone " + u.extension
		}
		fmt.Fprintf(out, "  %-13s %-13s %s\n", u.login, u.password, what)
	}
	fmt.Fprint(out, "\nCalls come in by themselves, the first one in a few seconds. Ctrl-C ends the demo; nothing is kept.\n")
}

func runSandbox(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	mp := fs.Int("megaplan", 8091, "port of the sandbox Megaplan; 0 takes a free one")
	rc := fs.Int("retailcrm", 8092, "port of the sandbox retailCRM; 0 takes a free one")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("sandbox takes no words")
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	w := newWorld()
	list, err := w.serve(ctx, [2]int{*mp, *rc}, &wg)
	if err != nil {
		return err
	}
	s := w.settings(list[0].url, list[1].url)
	for i, x := range list {
		fmt.Fprintf(c.out, "%-10s %s/\n", x.title, x.url)
		for k, v := range s.Integrations[i].Credentials {
			fmt.Fprintf(c.out, "           %s: %s\n", k, v)
		}
	}
	fmt.Fprintln(c.out, "The pages show what was made, and have switches for faults. Ctrl-C ends it; nothing is kept.")
	<-ctx.Done()
	return nil
}
