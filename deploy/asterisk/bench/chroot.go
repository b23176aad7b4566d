package bench

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

//go:embed install
var installScript string

// install makes sure that the chroot and SIPp are there, and returns the
// chroot's folder. Only one process builds, the others wait for it.
var install = sync.OnceValues(func() (string, error) {
	for _, tool := range []string{"sipp", "chroot"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("%s is not installed; run `make setup`", tool)
		}
	}
	if os.Geteuid() != 0 {
		if out, err := asRoot("true").CombinedOutput(); err != nil {
			return "", fmt.Errorf("the test Asterisk needs root, or sudo without a password: %s", strings.TrimSpace(string(out)))
		}
	}
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	cmd := asRoot("bash", "-s", "--", dir)
	cmd.Stdin = strings.NewReader(installScript)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the test Asterisk in %s: %w\n%s", dir, err, out)
	}
	sweep(dir)
	return dir, nil
})

// sweep removes what runs left behind that were killed before they could tidy up.
func sweep(chroot string) {
	runs, _ := filepath.Glob(filepath.Join(chroot, "bench", "run-*"))
	for _, run := range runs {
		part := strings.Split(filepath.Base(run), "-")
		pid, err := strconv.Atoi(part[1])
		if err != nil || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(run)
		}
	}
}
