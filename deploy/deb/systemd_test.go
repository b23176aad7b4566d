package deb

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// boot starts a Debian with its own systemd as process 1 and returns its
// process here; why says why this machine cannot.
func boot(t *testing.T, root string) (leader int, why string) {
	t.Helper()
	if out, err := try(t, "systemd-nspawn", "-D", root, "--register=no", "--keep-unit", "--private-network", "--pipe", "--quiet", "true"); err != nil {
		return 0, fmt.Sprintf("systemd-nspawn: %v: %s", err, out)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t.Context(), "systemd-nspawn", "-D", root, "--boot", "--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--console=pipe")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // an orderly end
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		return 0, err.Error()
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	late := time.After(time.Minute)
	for {
		if leader = firstProcess(cmd.Process.Pid); leader > 0 {
			state, _ := inside(t, leader, "systemctl", "is-system-running") // tells by its words; the code is 1 while it starts
			if s := strings.TrimSpace(state); s == "running" || s == "degraded" {
				return leader, ""
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return 0, fmt.Sprintf("it does not boot: %v\n%s", err, tail(log.Name()))
		case <-late:
			return 0, "it does not come up within a minute:\n" + tail(log.Name())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-1000):])
}

// firstProcess is process 1 of the container among the descendants of pid.
func firstProcess(pid int) int {
	out, err := exec.Command("ps", "-eo", "pid=,ppid=").Output()
	if err != nil {
		return 0
	}
	ours := map[int]bool{pid: true}
	for range 4 { // sudo, nspawn, its helper, systemd: children may be listed before their parents
		for line := range strings.Lines(string(out)) {
			var p, parent int
			if n, _ := fmt.Sscan(line, &p, &parent); n == 2 && ours[parent] {
				ours[p] = true
			}
		}
	}
	for p := range ours {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			continue // gone meanwhile
		}
		for line := range strings.Lines(string(status)) {
			if ids := strings.Fields(line); len(ids) == 3 && ids[0] == "NSpid:" && ids[2] == "1" {
				return p
			}
		}
	}
	return 0
}

func inside(t *testing.T, leader int, args ...string) (string, error) {
	t.Helper()
	return try(t, "nsenter", append([]string{"--target", strconv.Itoa(leader), "--all", "--"}, args...)...)
}

// underSystemd installs, upgrades and removes the package in a Debian that runs.
func underSystemd(t *testing.T, root string, packages []string) {
	leader, why := boot(t, root)
	if why != "" {
		// The unit itself is read and judged by TestUnit all the same.
		t.Logf("this machine cannot boot a Debian of its own, so that the unit is not started by systemd here: %s", why)
		return
	}
	in := func(args ...string) string {
		t.Helper()
		out, err := inside(t, leader, args...)
		if err != nil {
			journal, _ := inside(t, leader, "journalctl", "--no-pager", "-n", "30", "-u", "callbridge")
			t.Fatalf("%v: %v\n%s\n%s", args, err, out, journal)
		}
		return out
	}
	show := func(what string) string {
		t.Helper()
		return strings.TrimSpace(in("systemctl", "show", "callbridge", "--value", "-p", what))
	}
	serves := func(version string) {
		t.Helper()
		eventually(t, version+" answers", func() bool {
			out, err := inside(t, leader, "curl", "--silent", "http://127.0.0.1:8080/metrics")
			return err == nil && strings.Contains(out, `callbridge_build_info{version="`+version+`"} 1`)
		})
	}

	in("dpkg", "--install", packages[0])
	serves(oldVersion)
	if s := in("systemctl", "is-enabled", "callbridge"); s != "enabled\n" {
		t.Errorf("after the installation the service is %s", s)
	}
	hardened(t, in, show("MainPID"))
	if out, err := inside(t, leader, "systemd-analyze", "security", "--threshold=20", "--no-pager", "callbridge"); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}

	// systemctl reload: a good file counts at once, a bad one changes nothing.
	in("sed", "-i", "$ a log: {level: debug}", "/etc/callbridge/callbridge.yaml")
	in("systemctl", "reload", "callbridge")
	said := func(what string) {
		t.Helper()
		eventually(t, "the journal says "+what, func() bool {
			return strings.Contains(in("journalctl", "--no-pager", "-u", "callbridge"), what)
		})
	}
	said("was read again")

	// Killed, it comes back by itself.
	pid := show("MainPID")
	in("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "callbridge")
	eventually(t, "it is started again", func() bool { p := show("MainPID"); return p != "0" && p != pid })
	serves(oldVersion)

	// An upgrade keeps the data, and the new version runs.
	in("sh", "-c", "echo a-long-password | runuser -u callbridge -- callbridge users add boss -role admin -c /etc/callbridge/callbridge.yaml")
	in("dpkg", "--install", packages[1])
	serves(newVersion)
	if s := in("runuser", "-u", "callbridge", "--", "callbridge", "users", "list", "-c", "/etc/callbridge/callbridge.yaml"); !strings.Contains(s, "boss") {
		t.Errorf("the users after the upgrade: %s", s)
	}
	if s := show("NRestarts"); s != "0" {
		t.Errorf("the new version was restarted %s times", s)
	}

	// A wrong configuration: it ends and is not started again and again.
	in("sh", "-c", "echo 'listn: nonsense' >>/etc/callbridge/callbridge.yaml; systemctl restart callbridge; true")
	eventually(t, "it gives up", func() bool { return show("ActiveState") == "failed" })
	if s := show("ExecMainStatus"); s != "2" {
		t.Errorf("it ended with %s, want 2", s)
	}
	said("did you mean listen?")
	in("sed", "-i", "/listn/d", "/etc/callbridge/callbridge.yaml")
	in("systemctl", "restart", "callbridge")
	serves(newVersion)

	in("dpkg", "--remove", "callbridge")
	if out, err := inside(t, leader, "systemctl", "is-active", "callbridge"); err == nil {
		t.Errorf("after the removal the service is %s", out)
	}
	in("test", "-e", "/var/lib/callbridge/callbridge.db")
	in("dpkg", "--purge", "callbridge")
	purged(t, in)
	if s, err := inside(t, leader, "systemctl", "list-unit-files", "--no-legend", "--no-pager", "callbridge*"); err == nil && strings.TrimSpace(s) != "" {
		t.Errorf("units left after the purge: %s", s)
	}
	if s := in("systemctl", "--failed", "--no-legend", "--no-pager"); strings.TrimSpace(s) != "" {
		t.Errorf("failed units in the end: %s", s)
	}
}

// hardened looks at the running process: what the unit promises is so.
func hardened(t *testing.T, in func(...string) string, pid string) {
	t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(in("cat", "/proc/"+pid+"/status")) {
		k, v, _ := strings.Cut(line, ":")
		got[k] = strings.TrimSpace(v)
	}
	for k, want := range map[string]string{"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"} {
		if got[k] != want {
			t.Errorf("%s is %s, want %s", k, got[k], want)
		}
	}
	if uid := strings.Fields(got["Uid"]); len(uid) != 4 || uid[0] == "0" {
		t.Errorf("it runs as %s", got["Uid"])
	}
	for _, where := range []string{"/etc/callbridge", "/usr", "/root", "/home"} {
		out := in("sh", "-c", "nsenter --target "+pid+" --mount -- touch "+where+"/x 2>&1; true")
		if !strings.Contains(out, "Read-only file system") && !strings.Contains(out, "Permission denied") {
			t.Errorf("it could write to %s: %s", where, out)
		}
	}
	in("nsenter", "--target", pid, "--mount", "--", "touch", "/var/lib/callbridge/x")
	in("rm", "/var/lib/callbridge/x")
}
