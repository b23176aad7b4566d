// Package bridge is the vocabulary of Callbridge: calls, events, numbers,
// actions and settings, as plain types and pure functions on the standard
// library only. Everything else imports it; it imports nothing of ours.
package bridge

import "slices"

// Direction says who began the contact. It is fixed by the first fact that
// tells it and never flips afterwards (D-21, D-22).
type Direction string

const (
	In       Direction = "in"       // a client called us
	Out      Direction = "out"      // we called a client, by phone or by a click
	Internal Direction = "internal" // colleagues among themselves
)

// Outcome is how a call ended; "" while it lives.
type Outcome string

const (
	Answered Outcome = "answered" // client and employee (or two employees) talked
	Missed   Outcome = "missed"   // in or internal, and nobody talked
	Failed   Outcome = "failed"   // out, and the client was not reached
)

// Reason says why a call was missed or failed. The list is closed (it is a
// metric label and rules name it).
type Reason string

const (
	CallerHungUp     Reason = "caller_hung_up"
	AbandonedIVR     Reason = "abandoned_ivr"
	AbandonedQueue   Reason = "abandoned_queue"
	NoAnswer         Reason = "no_answer"
	Busy             Reason = "busy"
	Rejected         Reason = "rejected"
	Unavailable      Reason = "unavailable"
	Voicemail        Reason = "voicemail"
	BlockedByPBX     Reason = "blocked_by_pbx"
	BadNumber        Reason = "bad_number"
	Congestion       Reason = "congestion"
	CancelledByAgent Reason = "cancelled_by_agent"
	AgentNoAnswer    Reason = "agent_no_answer"
	AgentRejected    Reason = "agent_rejected"
	PBXRestarted     Reason = "pbx_restarted"
	ReasonUnknown    Reason = "unknown"
)

// Reasons lists every Reason, for validation and for metrics at zero.
var reasons = []Reason{CallerHungUp, AbandonedIVR, AbandonedQueue, NoAnswer, Busy, Rejected, Unavailable,
	Voicemail, BlockedByPBX, BadNumber, Congestion, CancelledByAgent, AgentNoAnswer, AgentRejected, PBXRestarted, ReasonUnknown}

// Reasons returns the closed list of reasons.
func Reasons() []Reason { return slices.Clone(reasons) }

// Call is one client contact with all its legs: the call record of the
// documentation, the same in the command line, REST and case files. An absent
// value is unknown or does not apply.
type Call struct {
	ID        string    `json:"id"`
	PBX       string    `json:"pbx"`
	Direction Direction `json:"direction"`
	Outcome   Outcome   `json:"outcome"` // "" while the call lives
	Reason    Reason    `json:"reason"`
	Client    Number    `json:"client"`     // E.164; "" if withheld or no public number
	ClientRaw string    `json:"client_raw"` // exactly as the PBX gave it
	// ClientName is the caller's name as the PBX gave it (SIP display name).
	ClientName string `json:"client_name,omitempty"`
	Line       string `json:"line"` // our number: E.164 where it is one, else as the PBX gave it
	Queue      string `json:"queue"`
	// Agent is the extension that began the call (out, internal, click-to-call).
	Agent string `json:"agent,omitempty"`
	// ClickID is the request id of the click that began it (click-to-call), or
	// the channel's id where the PBX could not carry the request's.
	ClickID    string     `json:"click_id,omitempty"`
	Rang       []string   `json:"rang"`        // extensions that really rang, in order
	AnsweredBy []string   `json:"answered_by"` // extensions that talked, in order
	Transfers  []Transfer `json:"transfers"`
	HungUpBy   Side       `json:"hung_up_by,omitempty"`
	Cause      int        `json:"cause,omitempty"` // Q.850 cause of the end
	StartedAt  Time       `json:"started_at,omitzero"`
	AnsweredAt Time       `json:"answered_at,omitzero"`
	EndedAt    Time       `json:"ended_at,omitzero"`
	WaitMS     *int64     `json:"wait_ms,omitempty"` // start to answer, or to the end when nobody answered
	TalkMS     *int64     `json:"talk_ms,omitempty"` // answer to end
	// TalkedFirst, TalkedLast and TalkedLongest are FirstTalked, LastTalked and
	// LongestTalked, for who reads the record.
	TalkedFirst   string      `json:"first_talked,omitempty"`
	TalkedLast    string      `json:"last_talked,omitempty"`
	TalkedLongest string      `json:"longest_talked,omitempty"`
	Legs          []Leg       `json:"legs"`
	Recordings    []Recording `json:"recordings"`
	// Path is the client's way through menus until somebody answered him.
	Path []Step `json:"path,omitempty"`
	Gaps []Gap  `json:"gaps"`
	// Unknown names the members of this record, as they are called in JSON,
	// that are not to be relied on, because the event that would tell them was
	// not seen.
	Unknown []string `json:"unknown,omitempty"`
	// PBXCallID is the PBX's own id of the call (Asterisk: linkedid).
	PBXCallID string `json:"pbx_call_id,omitempty"`
}

// Ended says whether the call is over.
func (c *Call) Ended() bool { return c.Outcome != "" }

// LastTalked returns the extension that talked last, "" if nobody did.
func (c *Call) LastTalked() string {
	if len(c.AnsweredBy) == 0 {
		return ""
	}
	return c.AnsweredBy[len(c.AnsweredBy)-1]
}

// FirstTalked returns the extension that talked first, "" if nobody did.
func (c *Call) FirstTalked() string {
	if len(c.AnsweredBy) == 0 {
		return ""
	}
	return c.AnsweredBy[0]
}

// LongestTalked returns the extension with the longest talk, the earlier one
// if two talked equally long, "" if nobody did.
func (c *Call) LongestTalked() string {
	best, ext := int64(-1), ""
	sum := map[string]int64{}
	for _, l := range c.Legs {
		if l.TalkMS != nil {
			sum[l.Extension] += *l.TalkMS
		}
	}
	for _, e := range c.AnsweredBy {
		if sum[e] > best {
			best, ext = sum[e], e
		}
	}
	return ext
}

// Side is who ended a call.
type Side string

const (
	ByClient Side = "client"
	ByAgent  Side = "agent"
	ByPBX    Side = "pbx"
)

// LegResult says how one phone's part ended; "" while it lives.
type LegResult string

const (
	LegAnswered    LegResult = "answered"
	LegNoAnswer    LegResult = "no_answer"
	LegBusy        LegResult = "busy"
	LegRejected    LegResult = "rejected"
	LegUnavailable LegResult = "unavailable"
	LegElsewhere   LegResult = "answered_elsewhere"
	LegCancelled   LegResult = "cancelled" // the caller gave up, or the PBX stopped it
	LegForwarded   LegResult = "forwarded"
)

// Leg is one phone's part in a call. One extension may have several (it rang
// twice, or the call came back to it).
type Leg struct {
	Extension string    `json:"extension"`
	RingAt    Time      `json:"ring_at,omitzero"` // absent: it was dialled but never rang
	AnswerAt  Time      `json:"answer_at,omitzero"`
	EndAt     Time      `json:"end_at,omitzero"`
	Result    LegResult `json:"result,omitempty"`
	TalkMS    *int64    `json:"talk_ms,omitempty"`
	Cause     int       `json:"cause,omitempty"`
	// DialledAt is when the PBX began to call this phone.
	DialledAt Time `json:"dialled_at,omitzero"`
	Held      bool `json:"held,omitempty"` // on hold now
	// Holds is how often this phone put the other side on hold.
	Holds int `json:"holds,omitempty"`
}

// Transfer is one hand-over inside a call.
type Transfer struct {
	Type     string `json:"type"` // blind, attended
	From     string `json:"from"`
	To       string `json:"to"` // extension, or the number dialled
	Answered bool   `json:"answered"`
	At       Time   `json:"at,omitzero"`
}

// Recording is a sound file of the call, by the name the PBX knows it.
type Recording struct {
	Name string `json:"name"`
	// Extension is whose talk it holds; "" if it holds that of several.
	Extension string `json:"extension,omitempty"`
}

// Step is a place of the dialplan in which a client was, or a digit that he
// pressed there. What he typed where whole numbers are asked for is not kept.
type Step struct {
	At      Time   `json:"at"`
	Context string `json:"context,omitempty"`
	Exten   string `json:"exten,omitempty"`
	Digit   string `json:"digit,omitempty"`
}

// Gap is a time in which we could not see the PBX, so that facts of this call
// may be missing (F-2).
type Gap struct {
	From   Time   `json:"from"`
	To     Time   `json:"to"`
	Reason string `json:"reason"`
}
