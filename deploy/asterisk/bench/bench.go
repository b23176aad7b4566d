// Package bench gives tests a real Asterisk with SIP phones and a provider
// around it, all on loopback addresses of their own, so that several benches
// run side by side. Asterisk lives in a chroot folder that the script install
// builds once per machine (`make setup` does it ahead); the phones are SIPp
// processes. It runs the sample configuration of deploy/asterisk, so what
// operators copy is what the tests prove.
//
// It needs root, or sudo that asks no password, because chroot does.
package bench

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The numbers of the bench. The company has the phones 101 to 104, and 105,
// which is known but never registered; for other slots see Slots.
const (
	MainLine  = "74951234567" // asks Callbridge whom to ring, else 101; also the number clients see
	GroupLine = "78005553535" // 101 and 102 ring together
	QueueLine = "74957654321" // the PBX answers, a queue rings 101 and 102
	HTTPLine  = "74957654326" // asks Callbridge over HTTP whom to ring, else 101
	DNDLine   = "74957654325" // 101, or 102 while 101 is not to be disturbed
	BlockLine = "74957654323" // the PBX refuses the call
	MenuLine  = "74957654322" // the PBX answers: 1 for a second menu, in it 2 for 103
	AfterLine = "74957654324" // 101, then 102
	LocalLine = "74957654327" // 101 and 102 ring together, through helpers of the PBX
	TurnLine  = "74957654328" // a queue: 101, then 102, and so on
	VoiceLine = "74957654329" // 101, then the voice mail
	GoneLine  = "74957654330" // 105, a phone that is not there
	DeadLine  = "74957654331" // 104, of which the PBX does not know that it is not there
	ParkExten = "700"         // whoever is sent there waits at 701
	Client    = "79161234567" // who calls, unless Options say otherwise
)

// Slots is how many companies one bench is: each has phones and a provider of
// its own, so that calls of several scenarios do not meet. The phones of slot
// 2 are 121 to 125, its provider is trunk2.
const Slots = 6

// Extension is phone n (1 to 5) of a slot.
func Extension(slot, n int) string { return fmt.Sprintf("1%d%d", slot, n) }

// TrunkOf is the PJSIP endpoint of a slot's provider.
func TrunkOf(slot int) string {
	if slot == 0 {
		return "trunk"
	}
	return fmt.Sprintf("trunk%d", slot)
}

const (
	sipPort   = 5060
	httpPort  = 8088
	trunkPort = 5080
	phoneBase = 5000 // phone 101 listens on port 5101
)

// Bench is a running Asterisk.
type Bench struct {
	URL      string // of ARI: http://127.x.y.1:8088/ari
	User     string
	Password string
	App      string // Stasis application that the dialplan asks
	Trunk    string // PJSIP endpoint of the provider
	// Recordings is the folder with the sound files, named <linkedid>.wav.
	Recordings string
	// CDR is the PBX's own call log (columns: etc/cdr_custom.conf).
	CDR string

	ip       netip.Addr
	chroot   string // folder of the small Debian
	dir      string // this bench's files, as seen inside the chroot
	asterisk *process

	mu    sync.Mutex
	media int // next free UDP port for a party's sound
}

// Start starts an Asterisk for t and stops it when t ends. It returns when
// ARI answers. The first Start on a machine builds the chroot, which takes
// about a minute. What is missing fails the test with the sentence that says it.
func Start(t testing.TB) *Bench {
	t.Helper()
	chroot, err := install()
	if err != nil {
		t.Fatalf("bench: %v", err)
	}
	b, err := newBench(chroot)
	if err != nil {
		t.Fatalf("bench: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("bench: Asterisk's last words:\n%s", tail(b.host("log/messages.log"), 60))
		}
		b.Stop(t)
		_ = os.RemoveAll(b.host(""))
	})
	b.Launch(t)
	return b
}

// newBench takes free loopback addresses and lays out the files.
func newBench(chroot string) (*Bench, error) {
	ip, err := freeNet()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(filepath.Join(chroot, "bench"), "run-"+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, err
	}
	dir := "/bench/" + filepath.Base(home)
	b := &Bench{
		URL:  fmt.Sprintf("http://%s:%d/ari", ip, httpPort),
		User: "callbridge", Password: "bench-secret", App: "callbridge", Trunk: "trunk",
		Recordings: filepath.Join(home, "spool/recording"),
		CDR:        filepath.Join(home, "log/cdr-custom/Master.csv"),
		ip:         ip,
		chroot:     chroot, dir: dir, media: 30000,
	}
	if err := b.render(); err != nil {
		_ = os.RemoveAll(home)
		return nil, err
	}
	return b, nil
}

// host is a path of this bench as seen outside the chroot.
func (b *Bench) host(path string) string { return filepath.Join(b.chroot, b.dir, path) }

// trunkIP is the address of a slot's provider.
func (b *Bench) trunkIP(slot int) string {
	ip := b.ip
	for range slot + 1 {
		ip = ip.Next()
	}
	return ip.String()
}

// phonePort is where a phone listens.
func (b *Bench) phonePort(extension string) int {
	n, _ := strconv.Atoi(extension)
	return phoneBase + n
}

// freeNet finds loopback addresses (x.1 for Asterisk and the phones, those
// after it for the providers) on which nobody has Asterisk's ports.
func freeNet() (netip.Addr, error) {
	for try := range 200 {
		n := os.Getpid() + try*31
		ip := netip.AddrFrom4([4]byte{127, byte(10 + n/250%240), byte(n % 250), 1})
		web, err := net.Listen("tcp", netip.AddrPortFrom(ip, httpPort).String())
		if err != nil {
			continue
		}
		sip, err := net.ListenPacket("udp", netip.AddrPortFrom(ip, sipPort).String())
		web.Close()
		if err != nil {
			continue
		}
		sip.Close()
		return ip, nil
	}
	return netip.Addr{}, fmt.Errorf("no loopback address has ports %d and %d free", httpPort, sipPort)
}

// Dir is where the chroot with Asterisk lies: CALLBRIDGE_ASTERISK, or a folder
// of the user's cache.
func Dir() (string, error) {
	if dir := os.Getenv("CALLBRIDGE_ASTERISK"); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for the test Asterisk: %w (set CALLBRIDGE_ASTERISK to a folder)", err)
	}
	return filepath.Join(cache, "callbridge", "asterisk"), nil
}

// asRoot is a command run as root.
func asRoot(name string, args ...string) *exec.Cmd {
	if os.Geteuid() == 0 {
		return exec.Command(name, args...)
	}
	return exec.Command("sudo", append([]string{"-n", name}, args...)...)
}

// wait asks done again and again until it says yes or the time is over.
func wait(limit time.Duration, done func() bool) bool {
	over := time.After(limit)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-over:
			return false
		case <-again.C:
		}
	}
	return true
}
