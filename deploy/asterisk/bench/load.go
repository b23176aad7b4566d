package bench

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// many makes a party out of one that has one call: it has calls of them, and a
// caller begins rate of them a second, each from the next number of a file.
type many struct {
	calls   int
	rate    float64 // 0: it is called
	numbers string
}

// args are SIPp's, for one call too.
func (m *many) args() []string {
	if m == nil {
		return []string{"-m", "1", "-timeout", "40s"}
	}
	args := []string{"-m", strconv.Itoa(m.calls), "-l", "4000", "-buff_size", "4194304", "-timeout", "600s"}
	if m.rate > 0 {
		// Calls a period of so many milliseconds: SIPp takes whole calls only.
		args = append(args, "-r", strconv.Itoa(int(math.Round(m.rate*10))), "-rp", "10000", "-inf", m.numbers)
	}
	return args
}

// Number is the n-th client of a Load, as he is called in Callbridge.
func Number(n int) string { return fmt.Sprintf("+7916%07d", n) }

// Load has calls clients call the line, rate of them a second, while the phone
// 101 answers them all. It returns when the last has hung up, and fails t
// unless each of them talked.
func (b *Bench) Load(t testing.TB, line string, rate float64, calls int, o Options) {
	t.Helper()
	p := &Playing{scenario: "load", dir: t.TempDir(), limit: 11 * time.Minute}
	t.Cleanup(func() { // only what a failed test leaves is still there
		for _, c := range p.children {
			c.kill()
		}
	})
	numbers := filepath.Join(p.dir, "numbers.csv")
	var list strings.Builder
	list.WriteString("SEQUENTIAL\n")
	for n := range calls {
		list.WriteString(strings.TrimPrefix(Number(n), "+") + ";\n")
	}
	if err := os.WriteFile(numbers, []byte(list.String()), 0o600); err != nil {
		t.Fatalf("bench: load: %v", err)
	}
	phone, client := b.phone(1, "answers", o), b.client(line, "talks", o)
	phone.many, client.many = &many{calls: calls}, &many{calls: calls, rate: rate, numbers: numbers}
	client.user = "[field0]"
	p.parties = []party{phone, client}
	for i, who := range p.parties {
		child, err := b.enter(p.dir, i, who)
		if err != nil {
			t.Fatalf("bench: load: %s: %v", who.name, err)
		}
		p.children = append(p.children, child)
		if who.port != 0 && !wait(5*time.Second, func() bool { return listens(who.ip, who.port) }) {
			t.Fatalf("bench: load: %s does not listen\n%s", who.name, child.out())
		}
	}
	p.Wait(t)
}

// CPU is what Asterisk has used of processors since it was started.
func (b *Bench) CPU(t testing.TB) time.Duration {
	t.Helper()
	pid := b.pid()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatalf("bench: %v", err)
	}
	cpu, err := CPUOf(string(text))
	if err != nil {
		t.Fatalf("bench: process %d: %v", pid, err)
	}
	return cpu
}

// CPUOf reads user and system time out of /proc/PID/stat.
func CPUOf(stat string) (time.Duration, error) {
	_, rest, _ := strings.Cut(stat, ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("%q is no process's state", stat)
	}
	var sum time.Duration
	for _, s := range f[11:13] {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * 10 * time.Millisecond // a tick is 10 ms everywhere
	}
	return sum, nil
}

// pid is Asterisk's own process.
func (b *Bench) pid() int {
	if os.Geteuid() == 0 {
		return b.asterisk.cmd.Process.Pid
	}
	text, _ := os.ReadFile(b.host("run/asterisk.pid")) // sudo is between us and Asterisk
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}
