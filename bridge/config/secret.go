package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"callbridge/bridge/setting"
)

// Secret is a text that nothing prints: it masks itself in formatting, logs,
// JSON and YAML. Reveal gives it to the one place that needs it.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String masks; so do all the other ways to print it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return setting.Mask
}

// Format keeps the text out of every verb of fmt, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText masks in JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// NewKey makes a key for a store that nobody opens again.
func NewKey() ([]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	return key, nil
}

// SecretKey reads the key that encrypts secrets at rest. At the first start it
// makes one: 32 random bytes, readable by the owner alone. A key file that
// everybody may read is refused.
func SecretKey(path string) ([]byte, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	fresh, err := NewKey()
	if err != nil {
		return nil, err
	}
	// Written beside and linked into place: a crash leaves no half key, and
	// of two programs that start together one wins.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".callbridge-key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("secret_key_file: %w", err)
	}
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(fresh) + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		if err = os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err = errors.Join(err, os.Remove(tmp.Name())); err != nil {
		return nil, fmt.Errorf("secret_key_file: %w", err)
	}
	return readKey(path)
}

func readKey(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("secret_key_file: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > 1024 {
		return nil, fmt.Errorf("secret_key_file: %s is no key file", path)
	}
	if st.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("secret_key_file: everybody on this machine may read %s; run: chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("secret_key_file: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("secret_key_file: %s holds no key (32 bytes in base64); put your copy back, or remove it to have a new one made and enter the CRM credentials anew", path)
	}
	return key, nil
}

// TakeNewKey puts the key of FILE.new in the place of FILE; the old one is kept
// as the last line of FILE.old.
func TakeNewKey(path string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("secret_key_file: %w", err)
	}
	f, err := os.OpenFile(path+".old", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("secret_key_file: %w", err)
	}
	_, err = f.Write(old)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("secret_key_file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("secret_key_file: %w", err)
	}
	return nil
}

// OldKeys reads the keys that were in use before: links that were signed with
// them and stand in CRMs go on working.
func OldKeys(path string) [][]byte {
	text, err := os.ReadFile(path + ".old")
	if err != nil {
		return nil // there are none
	}
	var out [][]byte
	for _, line := range strings.Fields(string(text)) {
		if key, err := base64.StdEncoding.DecodeString(line); err == nil && len(key) == 32 {
			out = append(out, key)
		}
	}
	return out
}
