package bench

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// process is a child of the test, with its output.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; to be read after done

	mu   sync.Mutex
	text bytes.Buffer
}

// start runs cmd so that it cannot outlive the test process.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Write takes the child's output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// out is the end of what the child has written so far.
func (p *process) out() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return last(p.text.String(), 30)
}

// kill ends the child at once and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail returns the last lines of a file, "" if there is none.
func tail(file string, lines int) string {
	text, _ := os.ReadFile(file)
	return last(string(text), lines)
}

func last(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
