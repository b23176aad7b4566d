// Package deb tries the Debian package: built, installed in a clean Debian of
// its own, started by systemd with the unit that is in it, upgraded, removed,
// purged.
package deb

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// command is a command run as root where that is needed.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if os.Geteuid() != 0 && name != "go" {
		name, args = "sudo", append([]string{"-n", name}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "CGO_ENABLED=0")
	return cmd
}

// sh runs a command and returns what it said.
func sh(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := command(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}

// build makes the package of a version, as `make package` does.
func build(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	sh(t, "go", "build", "-ldflags", "-s -w -X main.version="+version, "-o", dir+"/callbridge", "callbridge/cmd/callbridge")
	cmd := command(t.Context(), "go", "run", "./deploy/deb/pack", dir+"/callbridge", version, dir)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pack: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// debian is a fresh copy of the clean Debian that make setup has made.
func debian(t *testing.T) string {
	t.Helper()
	from := os.Getenv("CALLBRIDGE_DEBIAN")
	if from == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		from = filepath.Join(cache, "callbridge", "debian")
	}
	if _, err := os.Stat(from + "/.ready"); err != nil {
		t.Fatalf("no Debian to install in (make setup makes one): %v", err)
	}
	root := filepath.Join(t.TempDir(), "root")
	sh(t, "cp", "-a", "--reflink=auto", from, root)
	t.Cleanup(func() {
		if out, err := command(context.WithoutCancel(t.Context()), "rm", "-rf", root).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return root
}

// eventually waits for a condition, at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

const (
	oldVersion = "v1.0.0"
	newVersion = "v1.1.0-3-gabcdef"
)

// TestPackage is what an operator does with apt.
func TestPackage(t *testing.T) {
	packages := []string{build(t, oldVersion), build(t, newVersion)}
	prepare := func(t *testing.T) string {
		root := debian(t)
		for _, f := range packages {
			sh(t, "cp", f, root+"/"+filepath.Base(f))
		}
		return root
	}
	names := []string{"/" + filepath.Base(packages[0]), "/" + filepath.Base(packages[1])}
	t.Run("where nothing manages services", func(t *testing.T) { withoutSystemd(t, prepare(t), names) })
	t.Run("under systemd", func(t *testing.T) { underSystemd(t, prepare(t), names) })
}

// withoutSystemd is a container without an init: files, owners, and the program
// started by hand.
func withoutSystemd(t *testing.T, root string, packages []string) {
	in := func(args ...string) string { t.Helper(); return sh(t, "chroot", append([]string{root}, args...)...) }
	in("dpkg", "--install", packages[0])
	if v := in("callbridge", "version"); !strings.Contains(v, oldVersion) {
		t.Errorf("version: %s", v)
	}
	if s := in("stat", "-c", "%U:%G %a", "/etc/callbridge/callbridge.yaml", "/var/lib/callbridge"); s != "root:callbridge 640\ncallbridge:callbridge 700\n" {
		t.Errorf("owners and modes:\n%s", s)
	}
	if s := in("cat", "/lib/systemd/system/callbridge.service"); !strings.Contains(s, "ExecStart=/usr/bin/callbridge serve") || strings.Contains(s, "/usr/local") {
		t.Errorf("the unit is\n%s", s)
	}
	if s := in("dpkg", "--verify", "callbridge"); s != "" {
		t.Errorf("dpkg --verify:\n%s", s)
	}

	// As the unit starts it: as its own user, and it makes its database and key.
	sh(t, "sed", "-i", "s/^listen: .*/listen: 127.0.0.1:0/", root+"/etc/callbridge/callbridge.yaml")
	serveByHand(t, root)
	key := in("cat", "/var/lib/callbridge/callbridge.key")

	// An upgrade keeps data and the configuration that was changed by hand.
	in("dpkg", "--install", packages[1])
	if v := in("callbridge", "version"); !strings.Contains(v, newVersion) {
		t.Errorf("version after the upgrade: %s", v)
	}
	if in("cat", "/var/lib/callbridge/callbridge.key") != key || !strings.Contains(in("cat", "/etc/callbridge/callbridge.yaml"), "listen: 127.0.0.1:0") {
		t.Error("the upgrade lost the key or the configuration")
	}
	in("dpkg", "--remove", "callbridge")
	in("test", "!", "-e", "/usr/bin/callbridge")
	in("test", "-e", "/var/lib/callbridge/callbridge.db")
	in("dpkg", "--purge", "callbridge")
	purged(t, in)
	if _, err := try(t, "chroot", root, "getent", "passwd", "callbridge"); err == nil {
		t.Error("the user is left after the purge")
	}
}

func purged(t *testing.T, in func(...string) string) {
	t.Helper()
	for _, gone := range []string{"/var/lib/callbridge", "/etc/callbridge", "/lib/systemd/system/callbridge.service", "/usr/share/doc/callbridge", "/usr/bin/callbridge"} {
		if out := in("sh", "-c", "test ! -e "+gone+" || echo left"); out != "" {
			t.Errorf("%s is left after the purge", gone)
		}
	}
}

// serveByHand starts the installed program as its user and asks it once.
func serveByHand(t *testing.T, root string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cmd := command(ctx, "chroot", root, "runuser", "-u", "callbridge", "--", "/usr/bin/callbridge", "serve", "-c", "/etc/callbridge/callbridge.yaml")
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := ""
	eventually(t, "the program serves", func() bool {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := bytes.Cut(text, []byte("address="))
		if ok {
			addr, _, _ = strings.Cut(string(rest), " ")
		}
		return ok
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the installed program does not answer: %v", err)
	} else {
		_ = res.Body.Close()
	}
	sh(t, "pkill", "--signal", "TERM", "--parent", strconv.Itoa(cmd.Process.Pid))
	_ = cmd.Wait() // runuser's own code says nothing
}

// TestUnit lets systemd read the unit and judge how much it may do.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("../systemd/callbridge.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "callbridge.service")
	text = bytes.ReplaceAll(text, []byte("/usr/local/bin/callbridge"), []byte("/bin/true"))
	if err := os.WriteFile(unit, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		// 0 is safe, 10 is everything allowed; under 2 systemd says OK.
		{"security", "--offline=true", "--threshold=20", "--no-pager", unit},
	} {
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput(); err != nil {
			t.Errorf("systemd-analyze %v: %v\n%s", args, err, out)
		}
	}
}
