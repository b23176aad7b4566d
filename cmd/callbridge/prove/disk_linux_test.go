package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"callbridge/store"
)

// ownDisk runs the test again where it may mount file systems without anybody
// else seeing them: in a namespace, as root or not. It returns false in the
// outer process, which then has nothing more to do.
func ownDisk(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), inside+"="+binary(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in a mount namespace of its own (root or unprivileged user namespaces are needed): %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("the test did not run:\n%s", out)
	}
	return false
}

// tmpfs mounts a disk of so many bytes.
func tmpfs(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	must(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)))
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill leaves not a byte, and returns how to make room again.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	must(t, err)
	junk := make([]byte, 64<<10)
	for size := len(junk); size > 0; {
		if _, err := f.Write(junk[:size]); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			must(t, err)
		}
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(name)) }
}

// missing is what the program says that it lacks to take calls.
func (w *world) missing() string {
	c := &http.Client{Timeout: 10 * time.Second}
	defer c.CloseIdleConnections()
	res, err := c.Get(w.url + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// having lets the PBX have calls for a while, and returns when they are over.
func (w *world) having(d time.Duration) {
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	w.play(ctx, 40*time.Millisecond)
}

// done waits until everything is delivered, and compares.
func (w *world) done() tally {
	w.t.Helper()
	w.until("everything is delivered", func() bool {
		pause(200 * time.Millisecond)
		return w.allThere() && w.settled()
	})
	w.stop()
	w.ledger()
	return w.compare()
}

// allThere says that the store knows as many calls as the PBX had.
func (w *world) allThere() bool {
	n := 0
	w.store(func(db *store.DB) error {
		calls, _, err := db.Calls(w.t.Context(), store.CallFilter{Limit: 10000})
		n = len(calls)
		return err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return n >= len(w.played)
}

// A disk that is full for a while costs nothing: the program goes on in
// memory, says so, and stores what it kept as soon as there is room.
func TestDiskFullForAWhile(t *testing.T) {
	if !ownDisk(t) {
		return
	}
	w := newWorldIn(t, 2, "", tmpfs(t, 24<<20))
	w.start()
	w.ready()
	w.having(time.Second)
	free := fill(t, w.dir)
	w.having(2 * time.Second)
	w.until("the program says that its disk is full", func() bool { return strings.Contains(w.missing(), "disk is full") })
	w.having(time.Second)
	free()
	w.ready()
	if sum := w.done(); sum.gaps > 0 {
		t.Errorf("%v: with the program alive nothing may be missed", sum)
	}
}

// A disk that is full when the program has to end: it ends in its time, with
// an error that says what is not stored, does not start without room, and
// afterwards the PBX's call log tells what was missed.
func TestDiskFullAtTheEnd(t *testing.T) {
	if !ownDisk(t) {
		return
	}
	w := newWorldIn(t, 2, "", tmpfs(t, 24<<20))
	w.start()
	w.ready()
	w.having(time.Second)
	free := fill(t, w.dir)
	w.having(time.Second)
	w.until("the program says that its disk is full", func() bool { return strings.Contains(w.missing(), "disk is full") })
	must(t, w.cmd.Process.Signal(syscall.SIGTERM))
	over := make(chan error, 1)
	go func() { over <- w.cmd.Wait() }()
	select {
	case err := <-over:
		if err == nil {
			t.Error("it ended as if all were well")
		}
	case <-time.After(2 * time.Minute): // its own limit is 20 s
		t.Fatal("it does not end")
	}
	if said := w.said(); !strings.Contains(said, "could not be stored before the end") || strings.Contains(said, "nothing is lost") {
		t.Errorf("it said:\n%s", said)
	}
	w.start()
	if err := w.cmd.Wait(); err == nil || !strings.Contains(w.said(), "the disk is full") {
		t.Errorf("it starts on a full disk: %v\n%s", err, w.said())
	}
	free()
	w.having(time.Second) // nobody listens
	w.start()
	w.ready()
	w.done()
}

// On a disk that cannot be written the program does not start, and says why.
func TestReadOnlyDisk(t *testing.T) {
	if !ownDisk(t) {
		return
	}
	w := newWorldIn(t, 2, "", tmpfs(t, 24<<20))
	must(t, syscall.Mount("", w.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	out, err := exec.Command(binary(t), "serve", "-c", filepath.Join(w.dir, "callbridge.yaml")).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("cannot be written")) {
		t.Errorf("%v\n%s", err, out)
	}
	must(t, syscall.Mount("", w.dir, "", syscall.MS_REMOUNT, ""))
	w.having(500 * time.Millisecond)
	w.start()
	w.ready()
	w.having(500 * time.Millisecond)
	w.stop()
}
