package web

import (
	"log/slog"
	"testing"
)

// TestLogLevelIsChangedAtRunTime by an admin over REST, by nobody else.
func TestLogLevelIsChangedAtRunTime(t *testing.T) {
	level := new(slog.LevelVar)
	w := newWorld(t).start(t, func(d *Deps) { d.LogLevel = level })
	admin := w.signIn(t, "admin")
	type answer struct{ Level string }
	if a := decode[answer](t, admin.get("/api/v1/log"), 200); a.Level != "info" {
		t.Errorf("%+v", a)
	}
	if a := decode[answer](t, admin.do("PUT", "/api/v1/log", `{"level":"debug"}`), 200); a.Level != "debug" || level.Level() != slog.LevelDebug {
		t.Errorf("%+v, %v", a, level)
	}
	for _, bad := range []string{`{"level":"loud"}`, `{"level":"DEBUG+3"}`, `{}`} {
		refusedWith(t, admin.do("PUT", "/api/v1/log", bad), 422, "bad_level", "level")
	}
	refusedWith(t, w.signIn(t, "ivan").do("PUT", "/api/v1/log", `{"level":"error"}`), 403, "not_allowed", "")
	if level.Level() != slog.LevelDebug {
		t.Errorf("the level is %v", level)
	}
	refusedWith(t, newWorld(t).start(t, nil).signIn(t, "admin").get("/api/v1/log"), 501, "no_log_level", "")
}
