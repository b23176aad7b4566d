// Package crmtest proves that a CRM adapter keeps the contract of package crm.
// An adapter's own tests are then only about its quirks.
//
// The suite runs in testing/synctest bubbles against the handler of the
// simulated CRM, so waiting costs nothing; a small part runs over a real
// loopback connection.
package crmtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/sandbox"
)

// Fake is a simulated CRM with what the suite needs to steer it.
type Fake interface {
	sandbox.Sandbox
	// FailNext answers the next n requests whose "METHOD /path" contains
	// match with f; n < 0 means all from now on. sandbox.Switchboard has it.
	FailNext(n int, match string, f sandbox.Fault)
	RequestLog() []sandbox.Logged
	// SeedContact adds a contact with its numbers spelled as given.
	SeedContact(name string, phones ...string) crm.ContactID
	// Revoke makes the credentials invalid, Restrict takes one right away.
	Revoke()
	Restrict(right string)
	// ClearUsers makes the list of users empty.
	ClearUsers()
}

// Setup says how to test one adapter.
type Setup struct {
	Driver crm.Driver
	// New makes a fresh simulated CRM; it must not start goroutines.
	New func() Fake
	// Values are working credentials for f reached at url.
	Values func(f Fake, url string) setting.Values
	// Match is what FailNext needs to hit the request that does each
	// operation. An operation the adapter does not have is not given.
	Match map[Op]string
	// Rights are the names Restrict knows; taking any one away must show in
	// Check's report as a line that is not OK and has help.
	Rights []string
	// Responsible is a user of the fake.
	Responsible crm.UserID
	// Pipeline is given to CreateDeal; "" is the account's default.
	Pipeline string
}

// Op is one operation of the contract.
type Op string

const (
	Find          Op = "find"
	Contact       Op = "contact"
	Call          Op = "call"
	Communication Op = "communication"
	Task          Op = "task"
	Deal          Op = "deal"
	Note          Op = "note"
	Employees     Op = "employees"
)

const (
	number = bridge.Number("+79161234567")
	keyID  = "callbridge:01JD0000000000000000000001:"
)

// Run runs the whole suite.
func Run(t *testing.T, s Setup) {
	t.Run("check", s.check)
	t.Run("find", s.find)
	t.Run("repeat", s.repeat)
	t.Run("faults", s.faults)
	t.Run("missing fields", s.missingFields)
	t.Run("empty staff list", s.emptyStaff)
	t.Run("secrets", s.secrets)
	t.Run("concurrent", s.concurrent)
	t.Run("wire", s.wire)
}

// bench is one fake with a client to it.
type bench struct {
	t      *testing.T
	s      Setup
	fake   Fake
	client crm.Client
	log    *buffer
	values setting.Values
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const fakeURL = "http://crm.example.test"

// open makes a fake and a client that reaches it without a network.
func (s Setup) open(t *testing.T) *bench {
	t.Helper()
	f := s.New()
	return s.openAt(t, f, fakeURL, sandbox.Transport(f), s.Values(f, fakeURL))
}

func (s Setup) openAt(t *testing.T, f Fake, url string, rt http.RoundTripper, v setting.Values) *bench {
	t.Helper()
	b := &bench{t: t, s: s, fake: f, log: &buffer{}, values: v}
	zone := time.FixedZone("test", 3*3600)
	c, err := s.Driver.Open(crm.Env{
		Integration: "test", HTTP: &http.Client{Transport: rt}, Zone: zone, Country: "RU", PublicURL: "https://calls.example.test",
		Log:     slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(string, int, time.Duration) {}, Now: time.Now,
	}, v)
	if err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	b.client = c
	return b
}

// Record is a finished answered call from n.
func Record(n bridge.Number, contact crm.ContactID, user crm.UserID) crm.CallRecord {
	at := bridge.At(time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC))
	wait, talk := int64(4000), int64(61000)
	return crm.CallRecord{
		Call: bridge.Call{
			ID: "01JD0000000000000000000001", PBX: "office", Direction: bridge.In, Outcome: bridge.Answered,
			Client: n, ClientRaw: n.Digits(), Line: "+74951234567", Rang: []string{"101"}, AnsweredBy: []string{"101"},
			HungUpBy: bridge.ByClient, Cause: 16, StartedAt: at, AnsweredAt: bridge.At(at.Add(4 * time.Second)),
			EndedAt: bridge.At(at.Add(65 * time.Second)), WaitMS: &wait, TalkMS: &talk,
		},
		Contact: contact, Kind: "person", Agent: crm.Person{Extension: "101", User: user},
		People: []crm.Person{{Extension: "101", User: user}}, LineName: "Сайт",
		Source: map[string]string{"utm_source": "yandex", "utm_medium": "cpc"},
		Title:  "Входящий звонок", Text: "Звонок с номера +7 916 123-45-67", Length: 2 * time.Hour,
	}
}

// operation runs one operation of the contract and gives what it made.
type operation struct {
	op    Op
	kind  string // of sandbox objects; "" for a read
	write bool
	run   func(ctx context.Context, b *bench, key crm.Key, contact crm.ContactID) (crm.ObjectID, error)
}

// operations lists what the adapter implements. An ability without a Match
// entry fails the suite, so that nothing stays untested.
func (b *bench) operations() []operation {
	b.t.Helper()
	user := b.s.Responsible
	all := []operation{
		{Find, "", false, func(ctx context.Context, b *bench, _ crm.Key, _ crm.ContactID) (crm.ObjectID, error) {
			_, err := b.client.FindContacts(ctx, number)
			return "", err
		}},
		{Contact, "contact", true, func(ctx context.Context, b *bench, k crm.Key, _ crm.ContactID) (crm.ObjectID, error) {
			c, err := b.client.CreateContact(ctx, k, crm.NewContact{Name: "Пётр Тестов", Phone: number, Responsible: user,
				Source: map[string]string{"utm_source": "yandex"}})
			return crm.ObjectID(c.ID), err
		}},
	}
	if l, ok := b.client.(crm.CallLogger); ok {
		all = append(all, operation{Call, "call", true, func(ctx context.Context, _ *bench, k crm.Key, c crm.ContactID) (crm.ObjectID, error) {
			m, err := l.LogCall(ctx, k, Record(number, c, user))
			return m.ID, err
		}})
	}
	if l, ok := b.client.(crm.Communicator); ok {
		all = append(all, operation{Communication, "communication", true, func(ctx context.Context, _ *bench, k crm.Key, c crm.ContactID) (crm.ObjectID, error) {
			m, err := l.CreateCommunication(ctx, k, Record(number, c, user), user)
			return m.ID, err
		}})
	}
	if l, ok := b.client.(crm.Tasker); ok {
		all = append(all, operation{Task, "task", true, func(ctx context.Context, _ *bench, k crm.Key, c crm.ContactID) (crm.ObjectID, error) {
			m, err := l.CreateTask(ctx, k, crm.NewTask{Title: "Перезвонить", Text: "Пропущенный звонок", Responsible: user,
				Due: time.Date(2026, 3, 2, 13, 30, 0, 0, time.UTC), Contact: c, ContactKind: "person", Phone: number})
			return m.ID, err
		}})
	}
	if l, ok := b.client.(crm.DealMaker); ok {
		all = append(all, operation{Deal, "deal", true, func(ctx context.Context, b *bench, k crm.Key, c crm.ContactID) (crm.ObjectID, error) {
			m, err := l.CreateDeal(ctx, k, crm.NewDeal{Title: "Звонок с сайта", Text: "Первый звонок", Pipeline: b.s.Pipeline,
				Responsible: user, Contact: c, ContactKind: "person", ContactName: "Пётр Тестов", Phone: number})
			return m.ID, err
		}})
	}
	if l, ok := b.client.(crm.Noter); ok {
		all = append(all, operation{Note, "note", true, func(ctx context.Context, _ *bench, k crm.Key, c crm.ContactID) (crm.ObjectID, error) {
			m, err := l.CreateNote(ctx, k, crm.NewNote{Text: "Просит счёт & договор <до пятницы>\nвторая строка", Author: user, Contact: c, ContactKind: "person"})
			return m.ID, err
		}})
	}
	if l, ok := b.client.(crm.Directory); ok {
		all = append(all, operation{Employees, "", false, func(ctx context.Context, _ *bench, _ crm.Key, _ crm.ContactID) (crm.ObjectID, error) {
			_, err := l.Employees(ctx)
			return "", err
		}})
	}
	for _, o := range all {
		if b.s.Match[o.op] == "" {
			b.t.Fatalf("Setup.Match has nothing for %q, which the adapter implements", o.op)
		}
	}
	return all
}

func (b *bench) count(kind string) int {
	n := 0
	for _, o := range b.fake.Objects() {
		if o.Kind == kind && !o.Seed {
			n++
		}
	}
	return n
}

func (b *bench) wantKind(what string, err error, want fault.Kind) {
	b.t.Helper()
	if err == nil {
		b.t.Errorf("%s: no error, want %v", what, want)
		return
	}
	if got := fault.KindOf(err); got != want {
		b.t.Errorf("%s: %v, want %v: %v", what, got, want, err)
	}
	if _, ok := asFault(err); !ok {
		b.t.Errorf("%s: %T is no *fault.Error: %v", what, err, err)
	}
}

func (b *bench) key(o operation, look bool) crm.Key {
	return crm.Key{ID: keyID + string(o.op), Look: look}
}

func name(parts ...any) string { return fmt.Sprint(parts...) }
