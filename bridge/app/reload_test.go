package app

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"callbridge/bridge/config"
)

func TestReloadChangesWhatCanChangeAndNamesTheRest(t *testing.T) {
	cfg := config.Default()
	level := new(slog.LevelVar)
	a := &App{cfg: cfg, opts: Options{Level: level}, metrics: newMetrics(prometheus.NewPedanticRegistry())}
	a.live.Store(cfg)

	next := config.Default()
	next.Log.Level, next.Keep.CallDays, next.Metrics.Token = "debug", 7, "new"
	if later := a.Reload(next); len(later) > 0 {
		t.Errorf("%v count from the next start on", later)
	}
	if level.Level() != slog.LevelDebug || a.live.Load().Keep.CallDays != 7 || a.live.Load().Metrics.Token.Reveal() != "new" {
		t.Errorf("level %v, keep %+v", level.Level(), a.live.Load().Keep)
	}

	next = config.Default()
	next.Listen, next.Country, next.Log.Format = ":9", "BY", "json"
	next.PBX = []config.PBX{{ID: "office", Password: "p"}}
	if later := a.Reload(next); !slices.Equal(later, []string{"listen", "country", "pbx", "log.format"}) {
		t.Errorf("%v count from the next start on", later)
	}

	a.ReloadRefused()
	if testutil.ToFloat64(a.metrics.reloaded) != 0 || testutil.ToFloat64(a.metrics.reloads.WithLabelValues("refused")) != 1 ||
		testutil.ToFloat64(a.metrics.reloads.WithLabelValues("done")) != 2 {
		t.Error("reloads are counted wrong")
	}
}
