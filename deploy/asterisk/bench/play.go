package bench

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"
)

//go:embed sipp/*.xml
var sipp embed.FS

// sound is what a party says; it comes with SIPp's package. Playing it takes
// raw sockets, so without root the parties are silent.
const sound = "/usr/share/sip-tester/g711a.pcap"

// Options change how a scenario is played; the zero value is good.
type Options struct {
	Client string        // the number outside; default Client
	Name   string        // display name that comes with an inbound call
	Line   string        // the number the client dials; default the scenario's
	Ring   time.Duration // how long phones ring before they answer; default 1 s (4 s at most)
	Talk   time.Duration // how long the parties talk, or a caller waits before he gives up; default 1 s
	Slot   int           // whose phones and provider take part; default the first
}

// party is one SIPp process: a caller or somebody who is called.
type party struct {
	name string // for messages
	file string // caller.xml or phone.xml
	then string // what it does, see the file
	user string // its number: extension, client's number, or the trunk

	ip      string
	slot    int
	port    int    // 0: any
	number  string // dialled, or the target of a transfer
	display string
	from    string        // the whole From of a caller who does not say who he is
	digits  string        // pressed before the talk
	calls   int           // it takes so many; default one
	after   time.Duration // it joins so much later than the one before
	code    int           // SIP status it refuses with, or expects; 0: any refusal
	many    *many
	ring    time.Duration
	talk    time.Duration
}

// scenario lays out the parties of one call; those who are called first.
type scenario func(b *Bench, o Options) []party

// Scenarios returns the names that Play knows.
func Scenarios() []string { return slices.Sorted(maps.Keys(scenarios)) }

// phone is phone n of the scenario's slot.
func (b *Bench) phone(n int, then string, o Options) party {
	ext := Extension(o.Slot, n)
	return party{name: "phone " + ext, file: "phone.xml", then: then, user: ext, ip: b.ip.String(), slot: o.Slot, port: b.phonePort(ext), ring: o.Ring, talk: o.Talk}
}

func (b *Bench) provider(then string, o Options) party {
	return party{name: "provider", file: "phone.xml", then: then, user: TrunkOf(o.Slot), ip: b.trunkIP(o.Slot), slot: o.Slot, port: trunkPort, ring: o.Ring, talk: o.Talk}
}

func (b *Bench) client(line, then string, o Options) party {
	if o.Line != "" {
		line = o.Line
	}
	return party{name: "client", file: "caller.xml", then: then, user: o.Client, ip: b.trunkIP(o.Slot), slot: o.Slot, number: line, display: o.Name, talk: o.Talk}
}

func (b *Bench) employee(n int, number, then string, o Options) party {
	ext := Extension(o.Slot, n)
	return party{name: "employee " + ext, file: "caller.xml", then: then, user: ext, ip: b.ip.String(), slot: o.Slot, number: number, talk: o.Talk}
}

// Playing is a scenario under way.
type Playing struct {
	scenario string
	dir      string
	parties  []party
	children []*process
	limit    time.Duration // 0: what one call may take
}

// Play plays a scenario to its end and fails t unless every party was content.
func (b *Bench) Play(t testing.TB, name string, o Options) {
	t.Helper()
	b.Begin(t, name, o).Wait(t)
}

// Begin starts a scenario and returns when all parties are there: callers have
// begun to call, phones are ready. Wait must follow.
func (b *Bench) Begin(t testing.TB, name string, o Options) *Playing {
	t.Helper()
	make, ok := scenarios[name]
	if !ok {
		t.Fatalf("bench: no scenario %q; there are %s", name, strings.Join(Scenarios(), ", "))
	}
	if o.Client == "" {
		o.Client = Client
	}
	if o.Ring == 0 {
		o.Ring = time.Second
	}
	if o.Talk == 0 {
		o.Talk = time.Second
	}
	p := &Playing{scenario: name, dir: t.TempDir(), parties: make(b, o)}
	t.Cleanup(func() { // only what a failed test leaves is still there
		for _, c := range p.children {
			c.kill()
		}
	})
	for i, who := range p.parties {
		if who.after > 0 {
			<-time.After(who.after) // real phones take real time
		}
		child, err := b.enter(p.dir, i, who)
		if err != nil {
			t.Fatalf("bench: %s: %s: %v", name, who.name, err)
		}
		p.children = append(p.children, child)
		if who.port != 0 && !wait(5*time.Second, func() bool { return listens(who.ip, who.port) }) {
			t.Fatalf("bench: %s: %s does not listen on %s:%d\n%s", name, who.name, who.ip, who.port, child.out())
		}
	}
	return p
}

// Wait waits until all parties have done their part.
func (p *Playing) Wait(t testing.TB) {
	t.Helper()
	patience := p.limit
	if patience == 0 {
		patience = 45 * time.Second // SIPp itself gives up after 40 s
	}
	limit := time.After(patience)
	for i, c := range p.children {
		select {
		case <-c.done:
		case <-limit:
			c.kill()
		}
		if many := p.parties[i].many; many != nil && many.rate == 0 {
			continue // under load a repeated INVITE disturbs it, and no call: its callers tell
		}
		if c.err != nil {
			t.Errorf("bench: %s: %s: %v\n%s", p.scenario, p.parties[i].name, c.err,
				tail(filepath.Join(p.dir, strconv.Itoa(i)+".err"), 25))
		}
	}
}

// enter starts the SIPp process of one party.
func (b *Bench) enter(dir string, i int, who party) (*process, error) {
	from := "<sip:" + who.user + "@" + who.ip + ">"
	if who.display != "" {
		from = strconv.Quote(who.display) + " " + from
	}
	if who.from != "" {
		from = who.from
	}
	type digit struct {
		Digit string
		Seq   int
	}
	var digits []digit
	for i, d := range who.digits {
		digits = append(digits, digit{string(d), i + 2})
	}
	values := map[string]any{
		"User": who.user, "Number": who.number, "From": from, "Then": who.then, "Code": who.code,
		"Reason": reasons[who.code], "Codes": slices.DeleteFunc(slices.Sorted(maps.Keys(reasons)), func(c int) bool { return c < 400 || c == 603 }), "Digits": digits, "Pause": 900,
		"Ring": who.ring.Milliseconds(), "Talk": who.talk.Milliseconds(), "Sound": "",
	}
	if _, err := os.Stat(sound); err == nil && os.Geteuid() == 0 && who.many == nil {
		values["Sound"] = sound
	}
	all, err := template.ParseFS(sipp, "sipp/*.xml")
	if err != nil {
		return nil, err
	}
	var xml bytes.Buffer
	if err := all.ExecuteTemplate(&xml, who.file, values); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, strconv.Itoa(i)+".xml")
	if err := os.WriteFile(file, xml.Bytes(), 0o644); err != nil {
		return nil, err
	}
	b.mu.Lock()
	media := b.media
	b.media = 30000 + (b.media-30000+8)%20000
	b.mu.Unlock()
	args := []string{
		"-sf", file, "-default_behaviors", "all,-abortunexp", "-nostdin", "-aa", "-timeout_error",
		"-i", who.ip, "-mi", who.ip, "-mp", strconv.Itoa(media), "-ci", who.ip,
		"-trace_err", "-error_file", filepath.Join(dir, strconv.Itoa(i)+".err"),
	}
	args = append(args, who.many.args()...)
	if who.calls > 1 {
		args = append(args, "-m", strconv.Itoa(who.calls))
	}
	if who.port != 0 {
		args = append(args, "-p", strconv.Itoa(who.port))
	}
	args = append(args, fmt.Sprintf("%s:%d", b.ip, sipPort))
	cmd := exec.Command("sipp", args...)
	cmd.Dir = dir
	return start(cmd)
}

// reasons are the words of the refusals that parties meet.
var reasons = map[int]string{302: "Moved Temporarily", 403: "Forbidden", 404: "Not Found", 408: "Request Timeout", 480: "Temporarily Unavailable",
	484: "Address Incomplete", 486: "Busy Here", 500: "Server Error", 503: "Service Unavailable", 603: "Decline"}

// listens says whether a program of this machine waits for UDP packets there.
func listens(ip string, port int) bool {
	var a [4]byte
	_, _ = fmt.Sscanf(ip, "%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3])
	want := fmt.Sprintf("%02X%02X%02X%02X:%04X", a[3], a[2], a[1], a[0], port)
	table, _ := os.ReadFile("/proc/net/udp") // addresses in the byte order of the machine
	return strings.Contains(string(table), " "+want+" ")
}
