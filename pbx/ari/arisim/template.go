package arisim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/pbx/ari/aristream"
)

// ariTime is how Asterisk writes times.
const ariTime = "2006-01-02T15:04:05.000-0700"

// script is a recorded stream made ready to be played with other ids,
// numbers, phones and times: cut once into literal text and slots, so that
// playing it is only copying.
type script struct {
	name    string
	steps   []step
	ids     []string // channel ids, in order of appearance
	phones  []string // extensions in it
	dialled string   // extension dialled first, "" if none
	client  string   // as recorded, without a plus
	line    string
	zero    time.Time // timestamp of the first event
	inbound bool
	cut     *cutter
}

// step is one event of a script.
type step struct {
	at       time.Duration // since the first event
	stamp    time.Duration // its timestamp since zero
	kind     string
	text     text
	channels []part // channel, peer, caller, …
	room     *part
	members  []int // of the room
	dial     string
	args     []string
}

// part is a channel or bridge within an event, cut only when somebody asks
// for it.
type part struct {
	key string
	id  int // index into script.ids, or of the uuid
	raw []byte
}

// text is a row of literals and slots.
type text []slot

type slotKind uint8

const (
	literal slotKind = iota
	slotChannel
	slotUUID
	slotName // channel name: tech, phone, context, number
	slotTime
	slotClient
	slotClientName
	slotLine
	slotPhone
	slotClick
)

type slot struct {
	kind slotKind
	s    string        // the text as recorded; slotName: what comes before the phone
	ext  string        // slotName: the phone, or the trunk
	tail string        // slotName: what comes between phone and number
	s2   string        // slotName: the number, which begins again when Asterisk starts
	n    int           // slotChannel, slotUUID
	at   time.Duration // slotTime
}

const (
	rxUUID  = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	rxName  = `(?:PJSIP|SIP|Local)/[^-"@/;, &]+(?:@[^-"]+)?-[0-9a-f]{8}`
	rxTime  = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}[+-][0-9]{4}`
	rxClick = `task-17` // the request id of every recorded click-to-call
)

var (
	nameParts = regexp.MustCompile(`^([A-Za-z0-9]+)/([^-"@/;, &]+)((?:@[^-"]+)?)-([0-9a-f]{8})$`)
	phoneRx   = regexp.MustCompile(`^[0-9]{2,5}$`)
	digitsRx  = regexp.MustCompile(`^\+?([0-9]{7,})$`)
)

// defaultLine is what the recorded PBX shows to those it calls.
const defaultLine = "74951234567"

type wireChannel struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	State  string `json:"state"`
	Caller struct {
		Number string `json:"number"`
	} `json:"caller"`
	Dialplan struct {
		Exten string `json:"exten"`
	} `json:"dialplan"`
}

// resource returns the endpoint in a channel's name.
func resource(name string) string {
	if m := nameParts.FindStringSubmatch(strings.TrimRight(name, ";12")); m != nil {
		return m[2]
	}
	_, rest, _ := strings.Cut(name, "/")
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// compile makes a script of a recorded stream.
func compile(name string, lines []aristream.Line) (*script, error) {
	sc := &script{name: name, line: defaultLine}
	type rawStep struct {
		line  aristream.Line
		event map[string]json.RawMessage
		head  struct {
			Type       string   `json:"type"`
			Timestamp  string   `json:"timestamp"`
			DialStatus string   `json:"dialstatus"`
			Args       []string `json:"args"`
		}
	}
	var raws []rawStep
	for _, l := range lines {
		if l.Event == nil {
			continue
		}
		if l.Conn != 0 {
			return nil, fmt.Errorf("stream %s was seen through several websockets and cannot be played", name)
		}
		r := rawStep{line: l}
		if err := json.Unmarshal(l.Event, &r.event); err != nil {
			return nil, fmt.Errorf("stream %s line %d: %w", name, l.N, err)
		}
		if err := json.Unmarshal(l.Event, &r.head); err != nil {
			return nil, fmt.Errorf("stream %s line %d: %w", name, l.N, err)
		}
		raws = append(raws, r)
	}
	if len(raws) == 0 {
		return nil, fmt.Errorf("stream %s has no events", name)
	}
	zero, err := time.Parse(ariTime, raws[0].head.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	sc.zero = zero

	// First pass: who takes part.
	for _, r := range raws {
		for _, key := range channelKeys {
			c, ok := channelOf(r.event[key])
			if !ok {
				continue
			}
			if !slices.Contains(sc.ids, c.ID) {
				sc.ids = append(sc.ids, c.ID)
			}
			res := resource(c.Name)
			phone := phoneRx.MatchString(res) && !strings.HasPrefix(c.Name, "Local/")
			if phone && !slices.Contains(sc.phones, res) {
				sc.phones = append(sc.phones, res)
			}
			if r.head.Type == "ChannelCreated" && c.State == "Ring" && len(sc.ids) == 1 {
				if phone {
					sc.client = digits(c.Dialplan.Exten)
				} else {
					sc.inbound, sc.line, sc.client = true, c.Dialplan.Exten, digits(c.Caller.Number)
				}
			}
			if key == "peer" && phone && sc.dialled == "" {
				sc.dialled = res
			}
			if key == "channel" && sc.client == "" && !sc.inbound {
				sc.client = digits(c.Caller.Number) // originated: the phone shows the client
			}
		}
	}

	// Second pass: cut.
	cut := newCutter(sc)
	sc.cut = cut
	for _, r := range raws {
		ts, err := time.Parse(ariTime, r.head.Timestamp)
		if err != nil {
			return nil, fmt.Errorf("stream %s line %d: %w", name, r.line.N, err)
		}
		st := step{at: r.line.T - raws[0].line.T, stamp: ts.Sub(zero), kind: r.head.Type,
			dial: r.head.DialStatus, args: r.head.Args, text: cut.text(r.line.Event)}
		for _, key := range channelKeys {
			if c, ok := channelOf(r.event[key]); ok {
				st.channels = append(st.channels, part{key: key, id: slices.Index(sc.ids, c.ID), raw: r.event[key]})
			}
		}
		if raw := r.event["bridge"]; raw != nil {
			var b struct {
				ID       string   `json:"id"`
				Channels []string `json:"channels"`
			}
			if json.Unmarshal(raw, &b) == nil {
				st.room = &part{key: "bridge", id: cut.uuid(b.ID), raw: raw}
				for _, id := range b.Channels {
					st.members = append(st.members, slices.Index(sc.ids, id))
				}
			}
		}
		sc.steps = append(sc.steps, st)
	}
	return sc, nil
}

var channelKeys = []string{"channel", "peer", "caller", "forwarded", "transferee", "transfer_target",
	"transferer_first_leg", "transferer_second_leg"}

func channelOf(raw json.RawMessage) (c wireChannel, ok bool) {
	if raw == nil || json.Unmarshal(raw, &c) != nil {
		return c, false
	}
	return c, c.ID != "" && c.Name != ""
}

// digits returns a public number without the plus, "" for anything else.
func digits(s string) string {
	if m := digitsRx.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// cutter finds the slots in the text of one stream.
type cutter struct {
	sc    *script
	rx    *regexp.Regexp
	uuids []string
	seen  map[string]text // pieces between braces come again and again
}

func newCutter(sc *script) *cutter {
	ids := slices.Clone(sc.ids)
	slices.SortFunc(ids, func(a, b string) int { return len(b) - len(a) }) // "….14" before "….1"
	for i := range ids {
		ids[i] = regexp.QuoteMeta(ids[i])
	}
	if len(ids) == 0 {
		ids = []string{`\x00`}
	}
	client, line := `\x00`, `\x00`
	if sc.client != "" {
		client = regexp.QuoteMeta(sc.client)
	}
	if sc.line != "" {
		line = regexp.QuoteMeta(sc.line)
	}
	phones := `\x00`
	if len(sc.phones) > 0 {
		phones = strings.Join(sc.phones, "|")
	}
	return &cutter{sc: sc, seen: map[string]text{}, rx: regexp.MustCompile(
		`(` + strings.Join(ids, "|") + `)` + // 1 channel id
			`|(` + rxUUID + `)` + // 2
			`|(` + rxName + `)` + // 3
			`|(` + rxTime + `)` + // 4
			`|"name":"([^"]*)","number":"(\+?)(` + client + `)"` + // 5 6 7
			`|(` + client + `)` + // 8
			`|(` + line + `)` + // 9
			`|["/&(,-](` + phones + `)["@,/&)]` + // 10
			`|(` + rxClick + `)`)} // 11
}

func (c *cutter) uuid(s string) int {
	i := slices.Index(c.uuids, s)
	if i < 0 {
		i = len(c.uuids)
		c.uuids = append(c.uuids, s)
	}
	return i
}

// text cuts raw into literals and slots. No slot reaches over a brace.
func (c *cutter) text(raw []byte) text {
	var out text
	for len(raw) > 0 {
		n := bytes.IndexAny(raw, "{}") + 1
		if n == 0 {
			n = len(raw)
		}
		piece, ok := c.seen[string(raw[:n])]
		if !ok {
			piece = c.piece(raw[:n])
			c.seen[string(raw[:n])] = piece
		}
		for _, s := range piece {
			if last := len(out) - 1; s.kind == literal && last >= 0 && out[last].kind == literal {
				out[last].s += s.s
				continue
			}
			out = append(out, s)
		}
		raw = raw[n:]
	}
	return out
}

func (c *cutter) piece(raw []byte) text {
	var out text
	lit := func(b []byte) {
		if len(b) == 0 {
			return
		}
		if n := len(out); n > 0 && out[n-1].kind == literal {
			out[n-1].s += string(b)
			return
		}
		out = append(out, slot{s: string(b)})
	}
	pos := 0
	for _, m := range c.rx.FindAllSubmatchIndex(raw, -1) {
		lit(raw[pos:m[0]])
		pos = m[1]
		group := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return string(raw[m[2*n]:m[2*n+1]])
		}
		switch {
		case m[2] >= 0:
			out = append(out, slot{kind: slotChannel, s: group(1), n: slices.Index(c.sc.ids, group(1))})
		case m[4] >= 0:
			out = append(out, slot{kind: slotUUID, s: group(2), n: c.uuid(group(2))})
		case m[6] >= 0:
			p := nameParts.FindStringSubmatch(group(3))
			out = append(out, slot{kind: slotName, s: p[1] + "/", ext: p[2], tail: p[3] + "-", s2: p[4]})
		case m[8] >= 0:
			t, err := time.Parse(ariTime, group(4))
			if err != nil {
				lit(raw[m[0]:m[1]])
				continue
			}
			out = append(out, slot{kind: slotTime, s: group(4), at: t.Sub(c.sc.zero)})
		case m[14] >= 0:
			lit([]byte(`"name":"`))
			out = append(out, slot{kind: slotClientName, s: group(5)})
			lit([]byte(`","number":"` + group(6)))
			out = append(out, slot{kind: slotClient, s: group(7)})
			lit([]byte(`"`))
		case m[16] >= 0:
			out = append(out, slot{kind: slotClient, s: group(8)})
		case m[18] >= 0:
			out = append(out, slot{kind: slotLine, s: group(9)})
		case m[20] >= 0:
			lit(raw[m[0]:m[20]])
			out = append(out, slot{kind: slotPhone, s: group(10)})
			lit(raw[m[21]:m[1]])
		default:
			out = append(out, slot{kind: slotClick, s: group(11)})
		}
	}
	lit(raw[pos:])
	return out
}

// cast is what a script is played with.
type cast struct {
	sc         *script
	ids        []string
	uuids      map[int]string
	numbers    map[string]string // number in a channel name → the new one
	phones     map[string]string
	client     string
	clientName string
	line       string
	click      string
	acts       []act // from which recorded time on which real time counts
	speed      float64
	newUUID    func() string
	newNumber  func() string
}

// act says that recorded time from is played at real time base.
type act struct {
	from time.Duration
	base time.Time
}

// real turns recorded time into the time of this play.
func (c *cast) real(at time.Duration) time.Time {
	a := c.acts[0]
	for _, b := range c.acts[1:] {
		if at >= b.from {
			a = b
		}
	}
	return a.base.Add(time.Duration(float64(at-a.from) / c.speed))
}

func (c *cast) phone(recorded string) string {
	if ext, ok := c.phones[recorded]; ok {
		return ext
	}
	return recorded
}

// render writes t with everything in its place.
func (c *cast) render(dst []byte, t text) []byte {
	for i := range t {
		s := &t[i]
		switch s.kind {
		case literal:
			dst = append(dst, s.s...)
		case slotChannel:
			dst = append(dst, c.ids[s.n]...)
		case slotUUID:
			id, ok := c.uuids[s.n]
			if !ok {
				id = c.newUUID()
				c.uuids[s.n] = id
			}
			dst = append(dst, id...)
		case slotName:
			number, ok := c.numbers[s.s2]
			if !ok {
				number = c.newNumber()
				c.numbers[s.s2] = number
			}
			dst = append(dst, s.s...)
			dst = append(dst, c.phone(s.ext)...)
			dst = append(dst, s.tail...)
			dst = append(dst, number...)
		case slotTime:
			dst = c.real(s.at).UTC().AppendFormat(dst, ariTime)
		case slotClient:
			dst = appendText(dst, s.s, c.client)
		case slotClientName:
			dst = appendText(dst, s.s, c.clientName)
		case slotLine:
			dst = appendText(dst, s.s, c.line)
		case slotPhone:
			dst = append(dst, c.phone(s.s)...)
		case slotClick:
			dst = appendText(dst, s.s, c.click)
		}
	}
	return dst
}

// now is a recorded channel or bridge as this play shows it. The lock of the
// Sim is held.
func (c *cast) now(raw []byte) []byte { return c.render(nil, c.sc.cut.text(raw)) }

// appendText writes with, or recorded if with is empty, as part of a JSON string.
func appendText(dst []byte, recorded, with string) []byte {
	if with == "" {
		return append(dst, recorded...)
	}
	b, err := json.Marshal(with)
	if err != nil {
		return append(dst, recorded...)
	}
	return append(dst, b[1:len(b)-1]...)
}

func hex8(n int64) string {
	s := strconv.FormatInt(n, 16)
	return strings.Repeat("0", max(0, 8-len(s))) + s
}
