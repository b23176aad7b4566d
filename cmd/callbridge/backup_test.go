package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callbridge/bridge/config"
	"callbridge/store"
)

// inFolder runs one subcommand in a folder with a configuration.
func inFolder(t *testing.T, dir string, args ...string) (int, string) {
	t.Helper()
	var out, errOut strings.Builder
	code := run(context.WithoutCancel(t.Context()), append(args[:1:1], append([]string{"-c", filepath.Join(dir, "callbridge.yaml")}, args[1:]...)...), nil, &out, &errOut)
	return code, out.String() + errOut.String()
}

// TestBackupAndRestoreByCommand is an operator: backup of a running daemon,
// verified, refused while it runs, restored after it stopped.
func TestBackupAndRestoreByCommand(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	put(t, dir, "settings.yaml", "users: [{login: admin, role: admin, password: a-long-password}]\n")
	if code, text := inFolder(t, dir, "apply", filepath.Join(dir, "settings.yaml")); code != exitOK {
		t.Fatal(text)
	}
	file := filepath.Join(dir, "copy.db")
	t.Run("while it runs", func(t *testing.T) {
		p := startProgram(t, dir, nil, "serve", "-c", "callbridge.yaml")
		p.address()
		if code, text := inFolder(t, dir, "backup", file); code != exitOK || !strings.Contains(text, "is made and verified") || !strings.Contains(text, "settings version 1") {
			t.Fatalf("exit code %d: %s", code, text)
		}
		if code, text := inFolder(t, dir, "backup", "restore", file); code != exitFailed || !strings.Contains(text, "systemctl stop") {
			t.Errorf("restored under a running daemon, exit code %d: %s", code, text)
		}
		if code, text := inFolder(t, dir, "rotate-key"); code != exitFailed || !strings.Contains(text, "systemctl stop") {
			t.Errorf("the key was changed under a running daemon, exit code %d: %s", code, text)
		}
	})
	if code, text := inFolder(t, dir, "backup", "verify", file); code != exitOK || !strings.Contains(text, "is whole") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if err := os.WriteFile(filepath.Join(dir, "callbridge.db"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, text := inFolder(t, dir, "backup", "restore", file); code != exitOK || !strings.Contains(text, "before-restore") {
		t.Fatalf("exit code %d: %s", code, text)
	}
	if code, text := inFolder(t, dir, "export"); code != exitOK || !strings.Contains(text, "login: admin") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if code, _ := inFolder(t, dir, "backup", "a", "b"); code != exitUsage {
		t.Errorf("exit code %d for a wrong use", code)
	}
}

// TestRotateKeyByCommand changes the key, and goes on where an earlier try was
// cut off, whichever half was done.
func TestRotateKeyByCommand(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	put(t, dir, "settings.yaml", "users: [{login: admin, role: admin, password: a-long-password}]\n")
	if code, text := inFolder(t, dir, "apply", filepath.Join(dir, "settings.yaml")); code != exitOK {
		t.Fatal(text)
	}
	keyFile := filepath.Join(dir, "callbridge.key")
	readable := func() {
		t.Helper()
		if code, text := inFolder(t, dir, "export"); code != exitOK || !strings.Contains(text, "login: admin") || strings.Contains(text, "argon2") {
			t.Errorf("exit code %d: %s", code, text)
		}
	}
	first, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if code, text := inFolder(t, dir, "rotate-key"); code != exitOK {
		t.Fatal(text)
	}
	second, err := os.ReadFile(keyFile)
	if err != nil || string(second) == string(first) {
		t.Fatalf("the key is the old one, %v", err)
	}
	readable()

	// Cut off before the database took the key: the new key lies there unused.
	if _, err := config.SecretKey(keyFile + ".new"); err != nil {
		t.Fatal(err)
	}
	readable()
	// Cut off after it: the database has the new key, the file has not.
	old, err := config.SecretKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	next, err := config.SecretKey(keyFile + ".new")
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "callbridge.db"), old, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.RotateKey(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if code, text := inFolder(t, dir, "export"); code != exitFailed || !strings.Contains(text, "key") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if code, text := inFolder(t, dir, "rotate-key"); code != exitOK {
		t.Fatal(text)
	}
	readable()
	if keys := config.OldKeys(keyFile); len(keys) != 2 {
		t.Errorf("%d old keys are kept, want 2", len(keys))
	}
	if _, err := os.Stat(keyFile + ".new"); err == nil {
		t.Error("the new key's own file was left")
	}
}
