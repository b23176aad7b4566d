//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock of a file beside the database; the system frees it
// when the process ends, however it ends. The file itself says nothing.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(ErrReadOnly, err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(ErrServed, f.Close())
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOLCK):
		return f, nil // a file system without locks: as before there were any
	case err != nil:
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
