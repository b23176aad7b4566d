package arisim

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CallLogColumns are the columns of the call log that Options.CallLog names,
// as a cdr_custom.conf would list them.
func CallLogColumns() []string {
	return []string{"start", "answer", "end", "clid", "src", "dst", "channel", "dstchannel", "lastapp", "disposition",
		"duration", "billsec", "uniqueid", "linkedid", "sequence"}
}

// logged is what the call log will say of one call: records as Asterisk 22
// writes them (observed on the bench: one for every pair of a caller and a
// phone or line it called, one for what a caller does alone at its end).
type logged struct {
	records []*logRecord
	parties map[string]*logParty // by channel id
}

type logRecord struct {
	a, b               *logParty
	start, answer, end time.Time
	disposition        string
	dialled            string
}

func (r *logRecord) close(now time.Time) {
	r.end, r.dialled = now, r.a.dialled
}

var digitsOnly = regexp.MustCompile(`^\+?[0-9]{2,}$`)

// logParty is a channel as the log knows it.
type logParty struct {
	wireChannel
	linked  string
	name    string // of the person calling
	dialled string // the last number it was at in the dialplan; h and s are none
	born    time.Time
	up      bool
	with    *logParty // talked to last
}

// logStep notes what an event means for the log. The lock is held.
func (p *Playing) logStep(st *step) {
	if p.sim.opt.CallLog == "" {
		return
	}
	l, now := &p.logged, p.cast.real(st.at)
	if l.parties == nil {
		l.parties = map[string]*logParty{}
	}
	var of [3]*logParty // channel, peer, caller
	for i := range st.channels {
		part := &st.channels[i]
		if k := slices.Index([]string{"channel", "peer", "caller"}, part.key); k >= 0 {
			of[k] = l.party(p.cast.now(part.raw), now)
		}
	}
	channel, peer, caller := of[0], of[1], of[2]
	switch st.kind {
	case "Dial":
		if caller != nil && peer != nil {
			l.dial(st.dial, caller, peer, now)
		}
	case "ChannelEnteredBridge":
		for _, i := range st.members {
			if i >= 0 && channel != nil && p.cast.ids[i] != channel.ID {
				if other := l.parties[p.cast.ids[i]]; other != nil {
					channel.with, other.with = other, channel
				}
			}
		}
	case "ChannelDestroyed":
		if channel != nil {
			l.gone(channel, now, time.Duration(float64(aside)/p.cast.speed))
		}
	}
}

// aside is how much later than its partner a channel may go without that
// being a record of its own.
const aside = 20 * time.Millisecond

func (l *logged) party(raw []byte, now time.Time) *logParty {
	c, ok := channelOf(raw)
	if !ok {
		return nil
	}
	x := l.parties[c.ID]
	if x == nil {
		x = &logParty{born: now}
		l.parties[c.ID] = x
	}
	var more struct {
		Caller struct {
			Name string `json:"name"`
		} `json:"caller"`
		Vars map[string]string `json:"channelvars"`
	}
	_ = json.Unmarshal(raw, &more) // channelOf read it already
	x.wireChannel, x.up, x.name = c, c.State == "Up", more.Caller.Name
	if digitsOnly.MatchString(c.Dialplan.Exten) {
		x.dialled = c.Dialplan.Exten
	}
	x.linked = c.ID
	if s := more.Vars["CHANNEL(linkedid)"]; s != "" {
		x.linked = s
	}
	return x
}

func (l *logged) open(a, b *logParty) *logRecord {
	for _, r := range l.records {
		if r.a == a && r.b == b && r.end.IsZero() {
			return r
		}
	}
	return nil
}

func (l *logged) last(a *logParty) *logRecord {
	for _, r := range slices.Backward(l.records) {
		if r.a == a || r.b == a {
			return r
		}
	}
	return nil
}

func (l *logged) dial(status string, a, b *logParty, now time.Time) {
	r := l.open(a, b)
	if r == nil {
		r = &logRecord{a: a, b: b, start: a.born}
		for _, old := range l.records { // one round of dialling begins together
			if old.a == a && !old.end.IsZero() {
				r.start = old.end
			}
		}
		if a.up { // by the queue, the menu or an earlier phone
			r.answer = r.start
		}
		l.records = append(l.records, r)
	}
	switch status {
	case "", "RINGING", "PROGRESS", "PROCEEDING":
		return
	case "ANSWER":
		r.disposition = "ANSWERED"
		if r.answer.IsZero() {
			r.answer = now
		}
		a.with, b.with = b, a
		return
	case "BUSY", "CONGESTION":
		r.disposition = status
	case "CHANUNAVAIL":
		r.disposition = "FAILED"
	default:
		r.disposition = "NO ANSWER"
	}
	r.close(now)
}

// gone ends the records of a channel; what its caller did after them, alone
// or with somebody he was transferred to, is a record of its own.
func (l *logged) gone(x *logParty, now time.Time, aside time.Duration) {
	for _, r := range l.records {
		if (r.a == x || r.b == x) && r.end.IsZero() {
			r.close(now)
			if r.disposition == "" {
				r.disposition = "NO ANSWER"
			}
		}
	}
	last := l.last(x)
	switch {
	case last == nil:
		r := &logRecord{a: x, start: x.born, end: now, disposition: "NO ANSWER", dialled: x.dialled}
		if x.up {
			r.answer, r.disposition = x.born, "ANSWERED"
		}
		l.records = append(l.records, r)
	case last.a == x && now.Sub(last.end) > aside:
		r := &logRecord{a: x, start: last.end, end: now, disposition: last.disposition, dialled: "s"}
		if x.up && x.with != nil && x.with != last.b {
			r.b, r.answer, r.disposition, r.dialled = x.with, last.end, "ANSWERED", x.dialled
		}
		l.records = append(l.records, r)
	}
}

// writeLog writes the records of a call that is over, as cdr_custom does.
func (p *Playing) writeLog() error {
	s, now := p.sim, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range p.logged.parties {
		for _, r := range p.logged.records {
			if (r.a == x || r.b == x) && r.end.IsZero() { // it was hung up, not played to its end
				p.logged.gone(x, now, time.Second)
			}
		}
	}
	if len(p.logged.records) == 0 {
		return nil
	}
	when := func(t time.Time) string {
		switch {
		case t.IsZero():
			return ""
		case s.opt.CallLogExact:
			return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
		}
		return t.UTC().Format(time.DateTime)
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	for _, r := range p.logged.records {
		s.sequence++
		other, billed := "", "0"
		if r.b != nil {
			other = r.b.Name
		}
		answer := r.answer
		if !answer.IsZero() {
			billed = strconv.Itoa(int(r.end.Sub(answer).Seconds()))
		}
		if err := w.Write([]string{when(r.start), when(answer), when(r.end), fmt.Sprintf("%q <%s>", r.a.name, r.a.Caller.Number),
			r.a.Caller.Number, r.dialled, r.a.Name, other, "Dial", r.disposition,
			strconv.Itoa(int(r.end.Sub(r.start).Seconds())), billed, r.a.ID, r.a.linked, strconv.FormatInt(s.sequence, 10)}); err != nil {
			return err
		}
	}
	w.Flush()
	f, err := os.OpenFile(s.opt.CallLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text.String()); err != nil {
		_ = f.Close() // the first error tells more
		return err
	}
	return f.Close()
}

// leaveRecords writes the log of a call that ended by itself. A log that
// cannot be written is told like everything else a test must know of.
func (p *Playing) leaveRecords() {
	late := time.NewTimer(p.sim.opt.CallLogLate)
	defer late.Stop()
	select {
	case <-p.quit: // stopped in its middle: a crash leaves no records
		return
	case <-p.sim.ctx.Done():
		return
	case <-late.C:
	}
	if err := p.writeLog(); err != nil {
		p.sim.mu.Lock()
		p.sim.logTrouble = err
		p.sim.mu.Unlock()
	}
}

// CallLogTrouble says why records could not be written, nil if all were.
func (s *Sim) CallLogTrouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logTrouble
}
