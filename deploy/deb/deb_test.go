// Package deb tries the Debian package: built, installed in a root of its own,
// upgraded, removed, purged; and the systemd unit that is in it.
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

	"callbridge/deploy/asterisk/bench"
)

// sh runs a command as root and returns what it said.
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
	if os.Geteuid() != 0 && name != "go" && name != "dpkg-deb" {
		name, args = "sudo", append([]string{"-n", name}, args...)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func build(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	sh(t, "go", "build", "-ldflags", "-s -w -X main.version="+version, "-o", dir+"/callbridge", "callbridge/cmd/callbridge")
	out, err := exec.CommandContext(t.Context(), "./build", dir+"/callbridge", version, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestPackage is what an operator does with apt, in a Debian root of its own:
// a copy of the one the test Asterisk lives in.
func TestPackage(t *testing.T) {
	asterisk, err := bench.Dir()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	sh(t, "cp", "-a", "--reflink=auto", asterisk, root)
	t.Cleanup(func() {
		name, args := "rm", []string{"-rf", root}
		if os.Geteuid() != 0 {
			name, args = "sudo", append([]string{"-n", "rm"}, args...)
		}
		if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	in := func(args ...string) string { t.Helper(); return sh(t, "chroot", append([]string{root}, args...)...) }
	first, second := build(t, "v1.0.0"), build(t, "v1.1.0-3-gabcdef")
	for _, f := range []string{first, second} {
		sh(t, "cp", f, root+"/"+filepath.Base(f))
	}
	// Certificates are for talking to CRMs on the internet; nothing here does.
	install := func(file string) string {
		return in("dpkg", "--force-depends", "--install", "/"+filepath.Base(file))
	}
	install(first)
	if v := in("callbridge", "version"); !strings.Contains(v, "v1.0.0") {
		t.Errorf("version: %s", v)
	}
	if s := in("stat", "-c", "%U:%G %a", "/etc/callbridge/callbridge.yaml", "/var/lib/callbridge"); s != "root:callbridge 640\ncallbridge:callbridge 700\n" {
		t.Errorf("owners and modes:\n%s", s)
	}
	if s := in("cat", "/lib/systemd/system/callbridge.service"); !strings.Contains(s, "ExecStart=/usr/bin/callbridge serve") || strings.Contains(s, "/usr/local") {
		t.Errorf("the unit is\n%s", s)
	}

	// As the unit starts it: as its own user, and it makes its database and key.
	sh(t, "sed", "-i", "s/^listen: .*/listen: 127.0.0.1:0/", root+"/etc/callbridge/callbridge.yaml")
	serve := func() {
		t.Helper()
		args := []string{root, "runuser", "-u", "callbridge", "--", "/usr/bin/callbridge", "serve", "-c", "/etc/callbridge/callbridge.yaml"}
		name := "chroot"
		if os.Geteuid() != 0 {
			name, args = "sudo", append([]string{"-n", "chroot"}, args...)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		cmd := exec.CommandContext(ctx, name, args...)
		log := filepath.Join(t.TempDir(), "log")
		f, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = f
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 20 * time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for {
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if _, rest, ok := bytes.Cut(text, []byte("address=")); ok {
				addr, _, _ := bytes.Cut(rest, []byte(" "))
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+string(addr)+"/healthz", nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("the installed program does not answer: %v", err)
				} else {
					_ = res.Body.Close()
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not start:\n%s", text)
			}
			<-time.After(50 * time.Millisecond)
		}
		sh(t, "pkill", "--signal", "TERM", "--parent", strconv.Itoa(cmd.Process.Pid))
		_ = cmd.Wait() // runuser's own code says nothing
	}
	serve()
	key := in("cat", "/var/lib/callbridge/callbridge.key")

	// An upgrade keeps data and the configuration that was changed by hand.
	install(second)
	if v := in("callbridge", "version"); !strings.Contains(v, "v1.1.0-3") {
		t.Errorf("version after the upgrade: %s", v)
	}
	if in("cat", "/var/lib/callbridge/callbridge.key") != key || !strings.Contains(in("cat", "/etc/callbridge/callbridge.yaml"), "listen: 127.0.0.1:0") {
		t.Error("the upgrade lost the key or the configuration")
	}
	serve()

	in("dpkg", "--remove", "callbridge")
	if _, err := try(t, "test", "-e", root+"/usr/bin/callbridge"); err == nil {
		t.Error("the program is still there")
	}
	if _, err := try(t, "test", "-e", root+"/var/lib/callbridge/callbridge.db"); err != nil {
		t.Error("removing the package removed the data")
	}
	in("dpkg", "--purge", "callbridge")
	for _, left := range []string{"/var/lib/callbridge", "/etc/callbridge", "/lib/systemd/system/callbridge.service"} {
		if _, err := try(t, "test", "-e", root+left); err == nil {
			t.Errorf("%s is left after the purge", left)
		}
	}
	if _, err := try(t, "chroot", root, "getent", "passwd", "callbridge"); err == nil {
		t.Error("the user is left after the purge")
	}
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
