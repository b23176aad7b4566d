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
}

// party is one SIPp process: a caller or somebody who is called.
type party struct {
	name string // for messages
	file string // caller.xml or phone.xml
	then string // what it does, see the file
	user string // its number: extension, client's number, or the trunk

	ip      string
	port    int    // 0: any
	number  string // dialled, or the target of a transfer
	display string
	code    int // SIP status it refuses with, or expects
	many    *many
	ring    time.Duration
	talk    time.Duration
}

// scenario lays out the parties of one call; those who are called first.
type scenario func(b *Bench, o Options) []party

// scenarios of the bench, named as the recorded streams of pbx/ari are.
var scenarios = map[string]scenario{
	"in_answered": func(b *Bench, o Options) []party {
		return []party{b.phone("101", "answers", o), b.client(MainLine, "talks", o)}
	},
	"in_answered_agent_hangs_up": func(b *Bench, o Options) []party {
		return []party{b.phone("101", "hangs up", o), b.client(MainLine, "waits", o)}
	},
	"in_missed_caller_hangs_up": func(b *Bench, o Options) []party {
		return []party{b.phone("101", "rings", o), b.client(MainLine, "gives up", o)}
	},
	"in_blacklisted": func(b *Bench, o Options) []party {
		return []party{refused(b.client(BlockLine, "is refused", o), 403)}
	},
	// Somebody has set 101 to do-not-disturb.
	"in_dnd_stasis": func(b *Bench, o Options) []party {
		return []party{b.phone("102", "answers", o), b.client(DNDLine, "talks", o)}
	},
	// Somebody answers the routing step with 103.
	"in_routed": func(b *Bench, o Options) []party {
		return []party{b.phone("103", "answers", o), b.client(MainLine, "talks", o)}
	},
	// Somebody answers the question over HTTP with 102.
	"in_routed_http": func(b *Bench, o Options) []party {
		return []party{b.phone("102", "answers", o), b.client(HTTPLine, "talks", o)}
	},
	"group_102_answers": func(b *Bench, o Options) []party {
		return []party{b.phone("101", "rings", o), b.phone("102", "answers", o), b.client(GroupLine, "talks", o)}
	},
	"queue_answered": func(b *Bench, o Options) []party {
		waiting := b.client(QueueLine, "talks", o) // he talks to the music first
		waiting.talk += o.Ring
		return []party{b.phone("101", "rings", o), b.phone("102", "answers", o), waiting}
	},
	"xfer_blind": func(b *Bench, o Options) []party {
		giver := b.phone("101", "transfers", o)
		giver.number = "103"
		patient := b.client(MainLine, "talks", o)
		patient.talk = 2*o.Talk + o.Ring + time.Second
		return []party{giver, b.phone("103", "answers", o), patient}
	},
	// Somebody sends the client on to 103 while he talks to 101.
	"in_sent_on": func(b *Bench, o Options) []party {
		return []party{b.phone("101", "answers", o), b.phone("103", "hangs up", o), b.client(MainLine, "waits", o)}
	},
	// Somebody hangs up for 101.
	"in_ended_by_us": func(b *Bench, o Options) []party {
		return []party{b.phone("101", "answers", o), b.client(MainLine, "waits", o)}
	},
	"out_answered": func(b *Bench, o Options) []party {
		return []party{b.provider("answers", o), b.employee("101", o.Client, "talks", o)}
	},
	"out_busy": func(b *Bench, o Options) []party {
		return []party{refused(b.provider("refuses", o), 486), refused(b.employee("101", o.Client, "is refused", o), 486)}
	},
	// The phones of a click-to-call: whoever tests it places the call itself.
	"c2c": func(b *Bench, o Options) []party {
		agent := b.phone("101", "hangs up", o)
		agent.talk = o.Talk + o.Ring
		return []party{agent, b.provider("answers", o)}
	},
}

// Scenarios returns the names that Play knows.
func Scenarios() []string { return slices.Sorted(maps.Keys(scenarios)) }

func (b *Bench) phone(extension, then string, o Options) party {
	return party{name: "phone " + extension, file: "phone.xml", then: then, user: extension, ip: b.ip, port: b.phonePort(extension), ring: o.Ring, talk: o.Talk}
}

func (b *Bench) provider(then string, o Options) party {
	return party{name: "provider", file: "phone.xml", then: then, user: b.Trunk, ip: b.trunkIP, port: trunkPort, ring: o.Ring, talk: o.Talk}
}

func (b *Bench) client(line, then string, o Options) party {
	if o.Line != "" {
		line = o.Line
	}
	return party{name: "client", file: "caller.xml", then: then, user: o.Client, ip: b.trunkIP, number: line, display: o.Name, talk: o.Talk}
}

func (b *Bench) employee(extension, number, then string, o Options) party {
	return party{name: "employee " + extension, file: "caller.xml", then: then, user: extension, ip: b.ip, number: number, talk: o.Talk}
}

func refused(p party, code int) party {
	p.code = code
	return p
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
	values := map[string]any{
		"User": who.user, "Number": who.number, "From": from, "Then": who.then, "Code": who.code,
		"Reason": map[int]string{403: "Forbidden", 480: "Temporarily Unavailable", 486: "Busy Here", 603: "Decline"}[who.code],
		"Ring":   who.ring.Milliseconds(), "Talk": who.talk.Milliseconds(), "Sound": "",
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
		"-sf", file, "-nostdin", "-aa", "-timeout_error",
		"-i", who.ip, "-mi", who.ip, "-mp", strconv.Itoa(media), "-ci", who.ip,
		"-trace_err", "-error_file", filepath.Join(dir, strconv.Itoa(i)+".err"),
	}
	args = append(args, who.many.args()...)
	if who.port != 0 {
		args = append(args, "-p", strconv.Itoa(who.port))
	}
	args = append(args, fmt.Sprintf("%s:%d", b.ip, sipPort))
	cmd := exec.Command("sipp", args...)
	cmd.Dir = dir
	return start(cmd)
}

// listens says whether a program of this machine waits for UDP packets there.
func listens(ip string, port int) bool {
	var a [4]byte
	_, _ = fmt.Sscanf(ip, "%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3])
	want := fmt.Sprintf("%02X%02X%02X%02X:%04X", a[3], a[2], a[1], a[0], port)
	table, _ := os.ReadFile("/proc/net/udp") // addresses in the byte order of the machine
	return strings.Contains(string(table), " "+want+" ")
}
