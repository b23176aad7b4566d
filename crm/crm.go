// Package crm says what a CRM is to Callbridge. Every CRM is a Client; what
// else it can do it shows by implementing the optional interfaces, found by
// type assertion. Vendor words stop at the adapters below this package.
package crm

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/setting"
)

// Driver is one kind of CRM.
type Driver struct {
	Name   string          // as in the settings: megaplan
	Title  string          // for people: Megaplan
	Fields []setting.Field // credentials; one list drives form, check, masking and docs
	// PerSecond is how many requests per second a resend may use, for
	// estimates; 0: not limited by us. Batch is how many calls of a resend go in
	// one request; 0 or 1: one.
	PerSecond float64
	Batch     int
	// Open makes a Client. It does no network I/O; Check does.
	Open func(Env, setting.Values) (Client, error)
}

// Env is what an adapter gets from the outside.
type Env struct {
	Integration string // id, for keys and logs
	HTTP        *http.Client
	Log         *slog.Logger
	Zone        *time.Location // the CRM account's time zone
	Country     string         // for numbers the CRM keeps without a country (ISO 3166-1 alpha-2)
	PublicURL   string         // our own address, for links and callbacks; may be ""
	// Accounts gives what is kept for an account (tokens). The id is the
	// adapter's own and holds nothing secret: whoever logs in as the same user
	// at the same address has the same id, and so shares the account. nil: kept
	// in memory, for this adapter alone.
	Accounts func(id string) Account
	// Observe counts one request. code is the HTTP status or 0.
	Observe func(op string, code int, took time.Duration)
	// Follow is told of a request before it is sent, and of its end; nil: nobody is.
	Follow func(ctx context.Context, op, requestID string) (context.Context, func(code int, err error))
	Now    func() time.Time
}

// Account is one log-in at one CRM with what it gave us. Several integrations,
// nodes and commands may use it; they change it one at a time.
type Account interface {
	// Turn waits until nobody else changes the account and returns its state,
	// nil at first. Whoever got it calls release.
	Turn(ctx context.Context) (state []byte, release func(), err error)
	// Save keeps state, all of it or nothing, between Turn and release. It must
	// have succeeded before a rotated secret is used.
	Save(ctx context.Context, state []byte) error
}

// Key names the object an action makes, so that a repeat finds it.
type Key struct {
	ID string // callbridge:<call id>:<action>
	// Look: an earlier attempt may have been carried out; the adapter must
	// look for the object before it makes one.
	Look bool
}

// Ids are the CRM's own; empty means none.
type (
	ContactID string
	UserID    string
	ObjectID  string
)

// Contact is a client in the CRM.
type Contact struct {
	ID          ContactID       `json:"id"`
	Kind        string          `json:"kind"` // person, company
	Name        string          `json:"name"`
	Company     string          `json:"company,omitempty"`
	Responsible UserID          `json:"responsible,omitempty"`
	Manager     string          `json:"manager,omitempty"` // name of the responsible, if the answer tells it
	Phones      []bridge.Number `json:"phones,omitempty"`
	URL         string          `json:"url,omitempty"`
	CreatedAt   bridge.Time     `json:"created_at,omitzero"`
}

// NewContact is a client to be made.
type NewContact struct {
	Name        string
	Phone       bridge.Number
	Responsible UserID
	Source      map[string]string // utm_source, …
	Fields      map[string]string // CRM field name to value
	Note        string
}

// Made is an object the CRM has now.
type Made struct {
	ID    ObjectID
	URL   string
	Found bool // it was there already (key found, or the CRM called it a duplicate)
}

// Person is an employee of a call as the CRM knows him; either may be empty.
type Person struct {
	Extension string
	User      UserID
}

// CallRecord is a call for the CRM, with everything resolved.
type CallRecord struct {
	Call      bridge.Call
	Contact   ContactID // may be ""
	Kind      string    // of the contact
	Agent     Person    // who talked (by rule), or whose phone rang last
	People    []Person  // everybody who rang or talked
	LineName  string
	Source    map[string]string
	RecordURL string // signed link to the recording, "" if none
	Title     string // text of a communication
	Text      string
	Length    time.Duration // of the communication in the calendar
}

// Client is the part every CRM has.
type Client interface {
	// Check tries the credentials and every right we need. It changes
	// nothing. A fault of the address or the credentials is an error; what
	// works and what does not is in the report.
	Check(ctx context.Context) (Report, error)
	// FindContacts returns all contacts with n in any spelling, oldest
	// first; finding none is not an error.
	FindContacts(ctx context.Context, n bridge.Number) ([]Contact, error)
	// CreateContact stores key with the contact where the CRM can.
	CreateContact(ctx context.Context, key Key, c NewContact) (Contact, error)
}

// Report is the result of a check.
type Report struct {
	Account string      `json:"account"` // whose account answered
	Lines   []CheckLine `json:"lines"`
}

// CheckLine is one thing that was checked.
type CheckLine struct {
	What string `json:"what"` // "read customers"
	OK   bool   `json:"ok"`
	Help string `json:"help,omitempty"` // what to click if it is not
	// For are the kinds of action that need it; none says nothing of any.
	For []bridge.ActionKind `json:"for,omitempty"`
}

// Popper is a CRM with a call window of its own. Phase is ring, answer or end
// (or hold and stop, see HoldShower and StopShower);
// r.Agent is the phone it is about, r.People all who ring now.
type Popper interface {
	Popup(ctx context.Context, key Key, phase bridge.Trigger, r CallRecord) (Made, error)
}

// HoldShower is a Popper whose window shows that the client is on hold: it is
// told with the phase hold, and the leg of r.Agent says how it stands.
type HoldShower interface{ ShowsHold() }

// StopShower is a Popper whose window stays open until it is told: with the
// phase stop it hears that the phone of r.Agent has stopped ringing.
type StopShower interface{ ShowsStop() }

// CallLogger is a CRM that keeps calls. LogCall of the same key again changes
// or finds the record and never makes a second one.
type CallLogger interface {
	LogCall(ctx context.Context, key Key, r CallRecord) (Made, error)
}

// KeyedCall is one call of a batch.
type KeyedCall struct {
	Key    Key
	Record CallRecord
}

// BatchLogger takes many calls in one request, for resends. LogCalls returns
// what became of each, in their order. fault.Invalid means that one of them is
// refused and none was kept; the caller sends each for itself then.
type BatchLogger interface {
	BatchSize() int // at most so many at once; less than 2: none
	LogCalls(ctx context.Context, calls []KeyedCall) ([]Made, error)
}

// Communicator is a CRM that keeps communications apart from calls.
type Communicator interface {
	CreateCommunication(ctx context.Context, key Key, r CallRecord, responsible UserID) (Made, error)
}

// NewTask is a task to be made.
type NewTask struct {
	Title       string
	Text        string
	Responsible UserID
	Due         time.Time
	Contact     ContactID
	ContactKind string
	Phone       bridge.Number
	Record      *CallRecord
}

// Tasker makes tasks ("дело").
type Tasker interface {
	CreateTask(ctx context.Context, key Key, t NewTask) (Made, error)
}

// NewNote is something an employee wrote about a client.
type NewNote struct {
	Text        string
	Author      UserID // whose note it is, where the CRM can show that; may be ""
	Contact     ContactID
	ContactKind string
}

// Noter keeps notes with a client.
type Noter interface {
	CreateNote(ctx context.Context, key Key, n NewNote) (Made, error)
}

// NoteAuthor is a Noter that shows NewNote.Author as the author; others show
// the account of the integration.
type NoteAuthor interface{ ShowsAuthor() }

// NewDeal is a process or order to be made.
type NewDeal struct {
	Title       string
	Text        string
	Pipeline    string // scheme, order type; "" = the account's default
	Responsible UserID
	Contact     ContactID
	ContactKind string
	ContactName string
	Phone       bridge.Number
	Source      map[string]string
	Fields      map[string]string
	Record      *CallRecord
}

// Deal is a process or order in the CRM.
type Deal struct {
	ID       ObjectID `json:"id"`
	Name     string   `json:"name"`
	Pipeline string   `json:"pipeline,omitempty"`
	// PipelineName is what people call it, where that is not the id.
	PipelineName string  `json:"pipeline_name,omitempty"`
	Stage        string  `json:"stage,omitempty"`
	Responsible  UserID  `json:"responsible,omitempty"`
	Sum          float64 `json:"sum,omitempty"`
	Currency     string  `json:"currency,omitempty"`
	URL          string  `json:"url,omitempty"`
}

// DealMaker makes processes or orders.
type DealMaker interface {
	OpenDeals(ctx context.Context, contact ContactID) ([]Deal, error)
	CreateDeal(ctx context.Context, key Key, d NewDeal) (Made, error)
}

// FieldWriter writes fields of a contact (M-4.2).
type FieldWriter interface {
	UpdateContact(ctx context.Context, id ContactID, fields map[string]string) error
}

// OwnerChanger gives a contact to another employee (M-4.1.1, D-03).
type OwnerChanger interface {
	ChangeOwner(ctx context.Context, c Contact, to UserID) error
}

// Employee is a user of the CRM.
type Employee struct {
	User      UserID `json:"user"`
	Email     string `json:"email,omitempty"`
	Name      string `json:"name,omitempty"`
	Extension string `json:"extension,omitempty"` // as the CRM's telephony settings say
	Active    bool   `json:"active"`
	Manager   bool   `json:"manager,omitempty"` // belongs to the managers' group
}

// Module is our telephony as a CRM registers it: where it asks for calls and
// reports what its users are doing, and who has which extension.
type Module struct {
	Active      bool
	ClientID    string // what the CRM shows when it calls us; a secret
	BaseURL     string // our public address
	MakeCallURL string
	StatusURL   string
	LogoURL     string
	// ActivityPath, below BaseURL, is told when the CRM's admin switches the
	// module; AccountURL is opened in his browser.
	ActivityPath string
	AccountURL   string
	Phone        string // number for click-to-call, "" if none
	Extensions   []Person
}

// Installer is a CRM in which our telephony is registered. Install of the same
// module again changes nothing.
type Installer interface {
	Install(ctx context.Context, m Module) error
}

// UserStatus is what an employee is doing.
type UserStatus string

const (
	StatusFree UserStatus = "free"
	StatusBusy UserStatus = "busy" // on the phone
	StatusAway UserStatus = "away" // do not disturb
	StatusMeal UserStatus = "meal" // away for dinner
)

// Embedder is a CRM that opens pages of ours inside its own and says who opened
// them. asked are the parameters it opened the page with; fault.Forbidden means
// that they prove nothing.
type Embedder interface {
	WhoOpened(ctx context.Context, asked url.Values) (UserID, error)
}

// StatusSetter is a CRM that shows what its users are doing.
type StatusSetter interface {
	SetStatus(ctx context.Context, user UserID, s UserStatus) error
}

// StatusTeller is a CRM that reports what its users set themselves to. word is
// the CRM's; ok is false if it is none of its words, and the status "" if it is
// not ours to take over.
type StatusTeller interface {
	StatusTold(word string) (s UserStatus, ok bool)
}

// StatusLister is a StatusSetter that reports nothing by itself: it is asked now
// and then what its users set themselves to. Who is missing tells nothing.
type StatusLister interface {
	Statuses(ctx context.Context) (map[UserID]UserStatus, error)
}

// StatusReader is a StatusSetter that tells what it shows, so that a call can
// put back what was before. Without it everybody was free. "" means that the
// user's status is not ours to touch.
type StatusReader interface {
	Status(ctx context.Context, user UserID) (UserStatus, error)
}

// Grouped is a Directory of which only one group is offered for joining to
// extensions: those with Employee.Manager. Group is its name for people.
type Grouped interface{ Group() string }

// Directory lists the CRM's users.
type Directory interface {
	Employees(ctx context.Context) ([]Employee, error)
}

// Manager is who should take a client's call.
type Manager struct {
	User      UserID   `json:"user,omitempty"`
	Name      string   `json:"name,omitempty"`
	Extension string   `json:"extension,omitempty"`
	Contact   *Contact `json:"contact,omitempty"`
}

// Router is a CRM that knows the personal manager of a number. A client
// without one gives the zero Manager and no error.
type Router interface {
	PersonalManager(ctx context.Context, n bridge.Number) (Manager, error)
}

// NotKept is the error of something this CRM has no place for, whatever is
// tried: a call without a number where calls hang on numbers. It is no
// failure; the delivery ends as skipped, with Why.
type NotKept struct{ Why string }

func (e *NotKept) Error() string { return e.Why }

// TaskCloser is a CRM whose tasks we can close. A task that is closed already
// is Found; one that is not there any more is fault.Gone.
type TaskCloser interface {
	CloseTask(ctx context.Context, key Key, id ObjectID, text string) (Made, error)
}

// RecordAttacher is a CRM in which a call that was written can still get the
// link to its recording. key is the call's.
type RecordAttacher interface {
	AttachRecord(ctx context.Context, key Key, r CallRecord) (Made, error)
}
