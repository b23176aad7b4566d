package app

import (
	"context"
	"time"
)

// servedEvery is how often it is noted that the store is served.
const servedEvery = time.Minute

// resume asks the store whether it may be older than what was done with it.
func (a *App) resume(ctx context.Context) error {
	looked, back, err := a.db.Resume(ctx, time.Now())
	switch {
	case err != nil:
		return err
	case back:
		a.log.Warn("the database is older than it was: it was put back from a backup; what waits is looked for in the CRMs before it is done, and calls it does not know are taken from the PBX's call log",
			"deliveries", looked)
	case looked > 0:
		a.log.Info("nobody has served the database for a while; what waits is looked for in the CRMs before it is done", "deliveries", looked)
	}
	return nil
}

// served notes again and again, and at the end, that the store is served.
func (a *App) served(ctx context.Context) {
	note := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if err := a.db.Served(ctx, time.Now()); err != nil {
			a.log.Warn("it could not be noted that the database is served", "err", err)
		}
	}
	t := time.NewTicker(servedEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			note(ctx)
		case <-ctx.Done():
			note(context.WithoutCancel(ctx))
			return
		}
	}
}
