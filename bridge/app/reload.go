package app

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"callbridge/bridge/config"
)

// liveKeys are the keys of callbridge.yaml that change in a running program.
var liveKeys = []string{"keep", "log", "metrics", "tls", "trusted_proxies"}

// Reload puts a configuration that was read anew in force, as far as a running
// program can change: how long data is kept, the level of the log, who may read
// the metrics, the certificate's files, the proxies that are believed. It returns the other keys that changed; they count from the next
// start on. CRM accounts, rules, employees, lines and users are settings and
// need no reload.
func (a *App) Reload(next *config.Config) (later []string) {
	if a.opts.Level != nil {
		a.opts.Level.Set(levelOf(next))
	}
	a.live.Store(next)
	a.metrics.reloaded.Set(1)
	a.metrics.reloads.WithLabelValues("done").Inc()
	was, is := reflect.ValueOf(a.cfg).Elem(), reflect.ValueOf(next).Elem()
	for i := range was.NumField() {
		name, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("yaml"), ",")
		if !slices.Contains(liveKeys, name) && !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			later = append(later, name)
		}
	}
	if (next.TLS.Cert == "") != (a.cfg.TLS.Cert == "") {
		later = append(later, "tls")
	}
	if next.Log.Format != a.cfg.Log.Format {
		later = append(later, "log.format")
	}
	return later
}

// levelOf is log.level; Validate has refused every word that is none.
func levelOf(c *config.Config) slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.Log.Level)) != nil {
		return slog.LevelInfo
	}
	return l
}

// Louder switches the log to debug, and from debug back to what the
// configuration says.
func (a *App) Louder() {
	if a.opts.Level == nil {
		return
	}
	level := slog.LevelDebug
	if a.opts.Level.Level() == slog.LevelDebug {
		level = levelOf(a.live.Load())
	}
	a.opts.Level.Set(level)
	a.log.Warn("the level of the log was changed", "level", strings.ToLower(level.String()), "by", "signal")
}

// ReloadRefused counts a configuration file that could not be used; what was in
// force stays.
func (a *App) ReloadRefused() {
	a.metrics.reloaded.Set(0)
	a.metrics.reloads.WithLabelValues("refused").Inc()
}
