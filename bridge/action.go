package bridge

import "time"

// ActionKind is one sort of thing that can be done in a CRM for a call.
type ActionKind string

const (
	ActPopup         ActionKind = "popup"         // tell the CRM's own call window: ring, answer, end
	ActContact       ActionKind = "contact"       // make the contact if there is none
	ActFields        ActionKind = "fields"        // write fields of the contact
	ActCall          ActionKind = "call"          // write the call into the CRM's call history
	ActCommunication ActionKind = "communication" // write the communication
	ActTask          ActionKind = "task"
	ActProcess       ActionKind = "process"
	ActOwner         ActionKind = "owner"      // give a contact that this call made to another employee
	ActCloseTask     ActionKind = "close_task" // close the task made for a missed call: the client was talked to
	ActRecording     ActionKind = "recording"  // give the link to a late recording to the CRM that has the call
	ActNote          ActionKind = "note"       // what an employee wrote on the card
	ActOutcome       ActionKind = "outcome"    // what came of the talk, as he said on the card
)

// CloseSuffix makes the key of a closing out of that of the task it closes.
const CloseSuffix = ":close"

// RecordingSuffix makes the key of a late link out of that of the call.
const RecordingSuffix = ":recording"

// ActionKinds returns the closed list, for metrics at zero.
func ActionKinds() []ActionKind {
	return []ActionKind{ActPopup, ActContact, ActFields, ActCall, ActCommunication, ActTask, ActProcess, ActOwner, ActCloseTask, ActRecording, ActNote, ActOutcome}
}

// Trigger is the moment of a call at which rules are asked.
type Trigger string

const (
	OnRing      Trigger = "ring"      // an extension began to ring
	OnAnswer    Trigger = "answer"    // an employee and the client began to talk
	OnHold      Trigger = "hold"      // an employee put the client on hold, or took him back
	OnStop      Trigger = "stop"      // a phone has stopped ringing, and the call goes on elsewhere
	OnEnd       Trigger = "end"       // the call is over
	OnReturn    Trigger = "return"    // somebody has talked to a client whose call was missed
	OnRecording Trigger = "recording" // a sound file was complete only after the call had been written
	OnCard      Trigger = "card"      // an employee asked for it on the card; no rule did
)

// Action is one thing the rules want (Wanted) or do not want done in a CRM,
// with the reason in words an admin understands (F-3). The rules make them;
// delivery carries them out and never decides.
type Action struct {
	// Key is "callbridge:<call id>:<name>", unique per integration. It is
	// kept with the CRM's object where the CRM allows, so that a repeat finds it.
	Key     string     `json:"key"`
	Kind    ActionKind `json:"kind"`
	Trigger Trigger    `json:"trigger"`
	Rule    string     `json:"rule"` // path of the rule in the settings: calls.tasks[0]
	Wanted  bool       `json:"wanted"`
	Reason  string     `json:"reason"` // why it is wanted, or why not
	// Version is that of the settings whose rule made the action.
	Version int64 `json:"version,omitempty"`
	// Known: the action is to be done only if the client is (true) or is not
	// (false) in the CRM; delivery finds out and skips with that reason.
	Known *bool `json:"known,omitempty"`

	Responsible string            `json:"responsible,omitempty"` // default, last_talked, …, manager, contact, or an e-mail
	Extension   string            `json:"extension,omitempty"`   // popup: whose phone; OnCard: whose card
	Title       string            `json:"title,omitempty"`       // template; OnCard: as it was written
	Text        string            `json:"text,omitempty"`        // template; OnCard: as it was written
	Due         Duration          `json:"due,omitzero"`
	DueAt       Time              `json:"due_at,omitzero"`   // OnCard: the deadline somebody chose
	Minutes     int               `json:"minutes,omitempty"` // length of a communication; 0: the real length
	Scheme      string            `json:"scheme,omitempty"`
	AttachOpen  bool              `json:"attach_open,omitempty"`
	Fields      map[string]string `json:"fields,omitempty"` // CRM field to template; for contact and fields
}

// DeliveryState is where an action stands. The ledger counts them.
type DeliveryState string

const (
	Waiting DeliveryState = "waiting" // to be tried at NextAt
	Trying  DeliveryState = "trying"  // a worker has it until LeaseUntil
	Done    DeliveryState = "done"
	Held    DeliveryState = "held"    // the integration (or a right) is off
	Skipped DeliveryState = "skipped" // the rules, or a fact found later, do not want it
	Refused DeliveryState = "failed"  // refused for good; can be repaired and resent
	Expired DeliveryState = "expired" // too old when the integration came back
)

// DeliveryStates returns the closed list, in the order pages show them.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{Done, Waiting, Trying, Held, Skipped, Refused, Expired}
}

// Delivery is an action on its way into one CRM: one row of the ledger.
type Delivery struct {
	ID          int64         `json:"id"`
	Integration string        `json:"integration"`
	CallID      string        `json:"call_id"`
	Seq         int           `json:"seq"`    // order within the call
	Client      string        `json:"client"` // key of the order: E.164, or "call:<id>" when the number is withheld
	Action      Action        `json:"action"`
	RuleVersion int64         `json:"rule_version"`
	State       DeliveryState `json:"state"`
	Attempts    int           `json:"attempts"`
	// Look: an earlier attempt may have been carried out, so look before repeating (F-5).
	Look       bool   `json:"look,omitempty"`
	CreatedAt  Time   `json:"created_at"`
	NextAt     Time   `json:"next_at,omitzero"`
	LeaseUntil Time   `json:"lease_until,omitzero"`
	DoneAt     Time   `json:"done_at,omitzero"`
	ObjectID   string `json:"object_id,omitempty"`  // what the CRM returned
	ObjectURL  string `json:"object_url,omitempty"` // for people
	ErrorKind  string `json:"error_kind,omitempty"` // fault.Kind in words
	Error      string `json:"error,omitempty"`      // last error, masked
	Note       string `json:"note,omitempty"`       // why skipped, held or expired; who was made responsible and why
	// Ticket is the store's proof of the lease: Claim gives it and Finish asks
	// for it back, so that a late worker cannot overwrite a newer outcome.
	Ticket int64 `json:"-"`
	// Backlog: part of a resend, or of what was held. It goes after fresh
	// deliveries and card look-ups (F-15).
	Backlog bool `json:"-"`
}

// ClientKey is the order key of a call's deliveries: one client's actions run
// one after the other, a withheld number's per call.
func (c *Call) ClientKey() string {
	if c.Client != "" {
		return string(c.Client)
	}
	return "call:" + c.ID
}

// Backoff is the wait before the next attempt after n failed ones, without jitter.
func Backoff(n int) time.Duration {
	steps := []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	if n < 1 {
		n = 1
	}
	return steps[min(n, len(steps))-1]
}
