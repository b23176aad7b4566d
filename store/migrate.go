package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. A database made by a newer program is
// refused before anything is changed in it.
func (db *DB) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	p, err := db.provider()
	if err != nil {
		return err
	}
	is, knows, err := p.GetVersions(ctx)
	if err != nil {
		return db.wrap("schema version", err)
	}
	if is > knows {
		return fmt.Errorf("store: %w: its schema is version %d and this program knows %d. Install the newer Callbridge, or restore a backup of the older database", ErrNewer, is, knows)
	}
	if is == knows {
		return nil
	}
	done, err := p.Up(ctx)
	if err != nil {
		return db.wrap("migrations", err)
	}
	db.log.Info("database schema brought up to date", "from", is, "to", knows, "steps", len(done))
	return nil
}

// provider knows all steps of the schema.
func (db *DB) provider() (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, db.wrap("migrations", err)
	}
	dialect, opts := goose.DialectSQLite3, []goose.ProviderOption{}
	if db.postgres {
		// Several nodes may start at once; one migrates, the others wait.
		l, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120), lock.WithUnlockTimeout(1, 10))
		if err != nil {
			return nil, db.wrap("migrations", err)
		}
		dialect, opts = goose.DialectPostgres, append(opts, goose.WithSessionLocker(l))
	}
	p, err := goose.NewProvider(dialect, db.w.DB, sub, opts...)
	if err != nil {
		return nil, db.wrap("migrations", err)
	}
	return p, nil
}
