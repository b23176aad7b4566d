package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"
)

// ErrPostgres means that PostgreSQL's own tools are to be used.
var ErrPostgres = errors.New("this is a PostgreSQL database: its own tools make and restore backups, while it runs: pg_dump --format=custom --file=callbridge.dump callbridge; pg_restore --clean --dbname=callbridge callbridge.dump")

// Backup copies the database into a new file while it is in use: the copy is
// of one moment, compact, checked before it gets its name, and readable by its
// owner alone. Secrets in it are encrypted with the same key as here; the key
// itself is not in it.
func (db *DB) Backup(ctx context.Context, file string) (BackupInfo, error) {
	if db.postgres {
		return BackupInfo{}, ErrPostgres
	}
	if _, err := os.Lstat(file); err == nil {
		return BackupInfo{}, fmt.Errorf("store: backup: %s is there already; name a new file", file)
	}
	if st, err := os.Stat(filepath.Dir(file)); err != nil || !st.IsDir() {
		return BackupInfo{}, fmt.Errorf("store: backup: the folder %s does not exist", filepath.Dir(file))
	}
	// In a folder of its own: nobody reads the half-made copy.
	dir, err := os.MkdirTemp(filepath.Dir(file), ".callbridge-backup-")
	if err != nil {
		return BackupInfo{}, fmt.Errorf("store: backup: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tmp := filepath.Join(dir, "copy.db")
	// A connection of its own, so that the worker's and the readers' go on.
	c, err := sqlx.Open("sqlite", sqliteName(db.path)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return BackupInfo{}, db.wrap("backup", err)
	}
	_, err = c.ExecContext(ctx, `VACUUM INTO ?`, tmp)
	if err = errors.Join(err, c.Close()); err != nil {
		return BackupInfo{}, db.wrap("backup", err)
	}
	if err := os.Chmod(tmp, 0o600); err != nil {
		return BackupInfo{}, fmt.Errorf("store: backup: %w", err)
	}
	info, err := VerifyBackup(ctx, tmp, db.box.id)
	if err != nil {
		return info, err
	}
	if err := syncFile(tmp); err != nil {
		return info, fmt.Errorf("store: backup: %w", err)
	}
	// A link, not a rename: it never overwrites what came meanwhile.
	if err := os.Link(tmp, file); err != nil {
		return info, fmt.Errorf("store: backup: %w", err)
	}
	return info, syncFile(filepath.Dir(file))
}

// BackupInfo is what is in a backup.
type BackupInfo struct {
	Schema     int64  `json:"schema"`
	Calls      int64  `json:"calls"`
	Events     int64  `json:"events"`
	Deliveries int64  `json:"deliveries"`
	Settings   int64  `json:"settings_version"`
	Bytes      int64  `json:"bytes"`
	KeyID      string `json:"key_id"`
}

// VerifyBackup reads a whole backup and says what is in it: every page, every
// index, every reference. keyID, if given, must be that of its secrets.
func VerifyBackup(ctx context.Context, file, keyID string) (BackupInfo, error) {
	var i BackupInfo
	st, err := os.Stat(file)
	if err != nil {
		return i, fmt.Errorf("store: verify: %w", err)
	}
	i.Bytes = st.Size()
	c, err := sqlx.Open("sqlite", sqliteName(file)+"?mode=ro&_pragma=query_only(1)")
	if err != nil {
		return i, fmt.Errorf("store: verify: %w", err)
	}
	defer func() { _ = c.Close() }()
	db := &DB{w: c, r: c}
	var said []string
	if err := db.read(ctx, "verify "+file, &said, `PRAGMA integrity_check(20)`); err != nil {
		return i, err
	}
	if len(said) != 1 || said[0] != "ok" {
		return i, fmt.Errorf("store: %s is damaged: %s", file, strings.Join(said, "; "))
	}
	var orphans []struct {
		Table  string  `db:"table"`
		Row    *int64  `db:"rowid"`
		Parent string  `db:"parent"`
		Key    *string `db:"fkid"`
	}
	if err := db.read(ctx, "verify "+file, &orphans, `PRAGMA foreign_key_check`); err != nil {
		return i, err
	}
	if len(orphans) > 0 {
		return i, fmt.Errorf("store: %s is damaged: %d rows of %s point to nothing", file, len(orphans), orphans[0].Table)
	}
	for _, n := range []struct {
		into any
		q    string
	}{
		{&i.Schema, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied`},
		{&i.Calls, `SELECT COUNT(*) FROM calls`}, {&i.Events, `SELECT COUNT(*) FROM events`},
		{&i.Deliveries, `SELECT COUNT(*) FROM deliveries`}, {&i.Settings, `SELECT COALESCE(MAX(version), 0) FROM settings`},
		{&i.KeyID, `SELECT value FROM meta WHERE name = 'key_id'`},
	} {
		if err := db.readOne(ctx, "verify "+file, n.into, n.q); err != nil {
			return i, fmt.Errorf("%w; is it a backup of Callbridge?", err)
		}
	}
	if keyID != "" && i.KeyID != keyID {
		return i, fmt.Errorf("store: %w: the backup's secrets need key %s, the key file holds key %s", ErrWrongKey, i.KeyID, keyID)
	}
	return i, nil
}

// KeyID tells keys apart and tells nothing about the key.
func KeyID(key []byte) (string, error) {
	b, err := newBox(key)
	if err != nil {
		return "", err
	}
	return b.id, nil
}

// Restore puts a backup in the place of the database file of dsn. No daemon may
// serve it. The database that was there is kept beside it; its name is returned.
func Restore(ctx context.Context, dsn, file, keyID string) (BackupInfo, string, error) {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok {
		return BackupInfo{}, "", ErrPostgres
	}
	path = strings.TrimPrefix(path, "//")
	info, err := VerifyBackup(ctx, file, keyID)
	if err != nil {
		return info, "", err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return info, "", fmt.Errorf("store: restore: %w", err)
	}
	defer func() { _ = lock.Close() }()
	tmp := path + ".restoring"
	if err := copyFile(file, tmp); err != nil {
		return info, "", errors.Join(fmt.Errorf("store: restore: %w", err), removed(tmp))
	}
	if _, err := VerifyBackup(ctx, tmp, keyID); err != nil { // the copy, too
		return info, "", errors.Join(err, removed(tmp))
	}
	old := ""
	if _, err := os.Stat(path); err == nil {
		// What is in the write-ahead log belongs into the file that is kept.
		old = path + ".before-restore"
		for n := 2; exists(old); n++ {
			old = fmt.Sprintf("%s.before-restore-%d", path, n)
		}
		if err := settle(ctx, path); err != nil {
			return info, "", errors.Join(err, removed(tmp))
		}
		if err := os.Rename(path, old); err != nil {
			return info, "", errors.Join(fmt.Errorf("store: restore: %w", err), removed(tmp))
		}
	}
	if err := errors.Join(removed(path+"-wal"), removed(path+"-shm"), os.Rename(tmp, path)); err != nil {
		return info, old, fmt.Errorf("store: restore: %w", err)
	}
	return info, old, syncFile(filepath.Dir(path))
}

// settle writes the log of a database into its file.
func settle(ctx context.Context, path string) error {
	c, err := sqlx.Open("sqlite", sqliteName(path)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return fmt.Errorf("store: restore: %w", err)
	}
	// A damaged database, the very reason to restore, cannot be settled; it is
	// kept as it is.
	_, _ = c.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return c.Close()
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func removed(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// syncFile puts a file or a folder onto the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sqliteName is a path in the form of a file: address.
func sqliteName(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
