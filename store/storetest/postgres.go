package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Main runs the tests of a package that uses PostgresDSN and stops the server
// afterwards:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
func Main(m *testing.M) {
	cluster.managed = true
	if Slow {
		// The command line, read later, still has the last word.
		if f := flag.Lookup("rapid.checks"); f != nil {
			_ = f.Value.Set("15") // a number is a good value
		}
	}
	code := m.Run()
	cluster.stop()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

// PostgresDSN makes an empty database on a real PostgreSQL and returns its
// address. The server is started by the first call: Debian's package, a
// temporary folder, a unix socket only, never as root. It serves all tests of
// the binary and is stopped by Main.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	dsn, err := cluster.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// cluster is the one server of a test binary.
var cluster server

type server struct {
	managed bool // Main is there to stop it
	once    sync.Once
	err     error
	dir     string
	cmd     *exec.Cmd
	log     bytes.Buffer
	ended   chan struct{}

	mu sync.Mutex
	n  int // databases made
}

func (s *server) database(ctx context.Context) (string, error) {
	if !s.managed {
		return "", errors.New("storetest: the package needs func TestMain(m *testing.M) { storetest.Main(m) }, or its PostgreSQL would not be stopped")
	}
	s.once.Do(func() { s.err = s.start(ctx) })
	if s.err != nil {
		return "", s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	name := fmt.Sprintf("t%d", s.n)
	db, err := sql.Open("pgx", s.dsn("postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		return "", fmt.Errorf("storetest: %w", err)
	}
	return s.dsn(name), nil
}

func (s *server) dsn(name string) string {
	return "postgres://callbridge@/" + name + "?sslmode=disable&host=" + url.QueryEscape(s.dir)
}

// start makes a cluster and runs a server on it.
func (s *server) start(ctx context.Context) error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	// Directly in /tmp: a socket's path may have 107 bytes only, and the user
	// the server runs as must be able to reach it.
	if s.dir, err = os.MkdirTemp("/tmp", "cbpg"); err != nil {
		return err
	}
	who, err := s.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "callbridge", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr = who
	initdb.Dir = s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("storetest: initdb: %w\n%s", err, out)
	}
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=64MB")
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	attr := *who
	attr.Setpgid = true              // ^C at the tests is ours to handle
	attr.Pdeathsig = syscall.SIGQUIT // and if we are killed, it must not stay
	s.cmd.SysProcAttr = &attr
	if err := s.run(); err != nil {
		return fmt.Errorf("storetest: start postgres: %w", err)
	}
	return s.ready(ctx)
}

// run starts the server from a thread that lives as long as the server does:
// the kernel sends Pdeathsig when the thread ends, not the program.
func (s *server) run() error {
	s.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := s.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		_ = s.cmd.Wait() // however it ended, it ended
		close(s.ended)
	}()
	return <-started
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	db, err := sql.Open("pgx", s.dsn("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("storetest: postgres ended at its start:\n%s", s.log.String())
		case <-ctx.Done():
			return fmt.Errorf("storetest: postgres does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// owner is who runs the server: ourselves, or nobody if we are root, which
// PostgreSQL refuses.
func (s *server) owner() (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(s.dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func (s *server) stop() {
	if s.ended != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // fast shutdown; it may be gone already
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
			_ = s.cmd.Process.Kill() // nothing is lost: the folder goes next
			<-s.ended
		}
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // best effort, it is in /tmp
	}
}

// binaries finds the newest PostgreSQL of Debian, or the one in PATH.
func binaries() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if p, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(p))
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "initdb")); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(d, "postgres")); err == nil {
			return d, nil
		}
	}
	return "", errors.New("storetest: no PostgreSQL server found: install it with `apt-get install postgresql` (the tests start their own, the service is not used)")
}

func version(dir string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(filepath.Dir(dir), "/usr/lib/postgresql/")) // 0 for what is no number
	return n
}

// Cleanup has f run by Main after all tests.
func Cleanup(f func()) { cleanups = append(cleanups, f) }

var cleanups []func()
