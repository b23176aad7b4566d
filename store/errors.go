package store

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// SQLite's primary result codes we tell apart (the low byte of the code).
const (
	sqliteBusy     = 5
	sqliteLocked   = 6
	sqliteReadOnly = 8
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteNotADB   = 26
)

// wrap puts the operation in front of an error and adds the sentence an
// operator needs, with the sentinel errors.Is finds.
func (db *DB) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, ours := range []error{ErrNotFound, ErrLeaseLost, ErrWrongKey, ErrNewer, ErrEmptyStaff} {
		if errors.Is(err, ours) {
			return fmt.Errorf("store: %s: %w", op, err)
		}
	}
	if say := sentence(err); say != nil {
		return fmt.Errorf("store: %s: %w (%w)", op, say, err)
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

// sentence finds what an error of a driver means for people, nil if it is of
// no known sort.
func sentence(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqliteBusy, sqliteLocked:
			return ErrLocked
		case sqliteReadOnly, sqliteCantOpen:
			return ErrReadOnly
		case sqliteFull:
			return ErrFull
		case sqliteIOErr:
			return errors.New("the disk of the database cannot be read or written")
		case sqliteCorrupt:
			return errors.New("the database file is damaged: restore the last backup")
		case sqliteNotADB:
			return errors.New("the file is no Callbridge database")
		}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "53100":
			return ErrFull
		case "25006", "42501":
			return ErrReadOnly
		case "55P03", "57014":
			return ErrLocked
		case "28P01", "28000":
			return errors.New("PostgreSQL refuses the user or the password of the database address")
		case "3D000":
			return errors.New("PostgreSQL has no such database: create it first")
		case "53300":
			return errors.New("PostgreSQL has no free connection: raise max_connections")
		}
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return errors.New("PostgreSQL cannot be reached")
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return errors.New("the database does not answer in time")
	}
	return nil
}

// again says that the same transaction may work at once: two nodes met.
func again(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"40001", "40P01"}, e.Code)
}
