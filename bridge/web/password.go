package web

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

const (
	passwordMin = 8
	passwordMax = 72 // bytes; bcrypt takes no more
	bcryptCost  = 11
)

// HashPassword makes what bridge.User.PasswordHash keeps. Its errors are for
// the person who chose the password.
func HashPassword(password string) (string, error) {
	switch {
	case utf8.RuneCountInString(password) < passwordMin:
		return "", fmt.Errorf("a password needs at least %d characters", passwordMin)
	case len(password) > passwordMax:
		return "", fmt.Errorf("a password may have at most %d bytes", passwordMax)
	}
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	return string(b), err
}

// CheckPassword says whether password belongs to hash.
func CheckPassword(hash, password string) bool {
	return len(password) <= passwordMax && bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

// nobody is compared with when the login does not exist, so that the time of
// the answer does not tell which logins do.
const nobody = "$2a$11$eFtx2hCqlnN1Yc8dPf0vTeGm8w9gJ6yHqvK1v2xWnVqz5i6Yb0QyK"

// hashing bounds how many passwords are compared at once: each costs some
// 100 ms of a core, and calls come first.
type hashing chan struct{}

var errBusy = errors.New("too many sign-ins at once")

func (h hashing) check(ctx context.Context, hash, password string) (bool, error) {
	select {
	case h <- struct{}{}:
		defer func() { <-h }()
		return CheckPassword(hash, password), nil
	case <-ctx.Done():
		return false, errBusy
	}
}
