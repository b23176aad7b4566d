package web

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// levels are the words for log.level in callbridge.yaml.
var levels = []string{"debug", "info", "warn", "error"}

func (s *server) apiLogLevel(w http.ResponseWriter, _ *http.Request) error {
	if s.d.LogLevel == nil {
		return &apiError{Status: 501, Code: "no_log_level"}
	}
	writeJSON(w, 200, map[string]string{"level": strings.ToLower(s.d.LogLevel.Level().String())})
	return nil
}

// apiSetLogLevel counts until the next start or reload, which go by the file.
func (s *server) apiSetLogLevel(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Level string `json:"level"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if s.d.LogLevel == nil {
		return &apiError{Status: 501, Code: "no_log_level"}
	}
	var l slog.Level
	if !slices.Contains(levels, in.Level) || l.UnmarshalText([]byte(in.Level)) != nil {
		return invalid("level", "bad_level")
	}
	s.d.LogLevel.Set(l)
	s.log.Warn("the level of the log was changed", "level", in.Level, "by", who(r).user.Login)
	s.audit(r, "log_level", in.Level)
	return s.apiLogLevel(w, r)
}
