package deliver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
)

// memory is a store for tests: it keeps state and refuses what the real one refuses.
type memory struct {
	mu       sync.Mutex
	calls    map[string]bridge.Call
	rows     map[int64]*bridge.Delivery
	entries  map[bridge.Number]Entry
	attempts []Attempt
	held     string
}

func newMemory() *memory {
	return &memory{calls: map[string]bridge.Call{}, rows: map[int64]*bridge.Delivery{}, entries: map[bridge.Number]Entry{}}
}

func (m *memory) sorted() []*bridge.Delivery {
	out := make([]*bridge.Delivery, 0, len(m.rows))
	for _, r := range m.rows {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *bridge.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (m *memory) ClaimUpTo(_ context.Context, _ string, now time.Time, lease time.Duration, n, _ int) ([]bridge.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []bridge.Delivery
	seen := map[string]bool{}
	for _, r := range m.sorted() {
		open := r.State == bridge.Waiting || r.State == bridge.Trying
		if !open || seen[r.Client] || len(out) == n {
			continue
		}
		seen[r.Client] = true
		switch {
		case r.State == bridge.Waiting && !r.NextAt.After(now):
		case r.State == bridge.Trying && r.LeaseUntil.Before(now):
			r.Look = true
		default:
			continue
		}
		r.State, r.LeaseUntil = bridge.Trying, bridge.At(now.Add(lease))
		out = append(out, *r)
	}
	return out, nil
}

func (m *memory) Finish(_ context.Context, d bridge.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[d.ID].State != bridge.Trying && m.rows[d.ID].State != bridge.Held {
		return errors.New("lease lost")
	}
	*m.rows[d.ID] = d
	return nil
}

func (m *memory) FinishNext(ctx context.Context, d bridge.Delivery, now time.Time, lease time.Duration) (*bridge.Delivery, error) {
	if err := m.Finish(ctx, d); err != nil || d.State == bridge.Waiting || d.State == bridge.Held || d.Backlog {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.sorted() {
		if r.Client != d.Client || r.State != bridge.Waiting && r.State != bridge.Trying {
			continue
		}
		if r.State != bridge.Waiting || r.NextAt.After(now) || r.Backlog || m.held != "" {
			break
		}
		r.State, r.LeaseUntil = bridge.Trying, bridge.At(now.Add(lease))
		next := *r
		return &next, nil
	}
	return nil, nil
}

func (m *memory) NextDue(context.Context, string) (time.Time, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var at time.Time
	for _, r := range m.rows {
		if r.State == bridge.Waiting && (at.IsZero() || r.NextAt.Before(at)) {
			at = r.NextAt.Time
		}
	}
	return at, !at.IsZero(), nil
}

func (m *memory) HoldIntegration(_ context.Context, _ string, _ time.Time, reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = reason
	for _, r := range m.rows {
		if r.State == bridge.Waiting {
			r.State = bridge.Held
		}
	}
	return nil
}

func (m *memory) HoldKind(_ context.Context, _ string, kind bridge.ActionKind, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		if r.State == bridge.Waiting && r.Action.Kind == kind {
			r.State = bridge.Held
		}
	}
	return nil
}

func (m *memory) CallRecord(_ context.Context, id string) (bridge.Call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.calls[id]
	if !ok {
		return c, errors.New("no such call")
	}
	return c, nil
}

func (m *memory) OfCall(_ context.Context, _, id string) ([]bridge.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []bridge.Delivery
	for _, r := range m.sorted() {
		if r.CallID == id {
			out = append(out, *r)
		}
	}
	return out, nil
}

func (m *memory) AddAttempt(_ context.Context, a Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts = append(m.attempts, a)
	return nil
}

func (m *memory) LoadEntry(_ context.Context, _ string, n bridge.Number) (Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[n]
	return e, ok, nil
}

func (m *memory) SaveEntry(_ context.Context, _ string, n bridge.Number, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.At.IsZero() {
		delete(m.entries, n)
		return nil
	}
	m.entries[n] = e
	return nil
}

func (m *memory) row(id int64) bridge.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.rows[id]
}

// fakeCRM does what a CRM does, and what its script says before.
type fakeCRM struct {
	mu       sync.Mutex
	script   []func(op string) error // one per request; nil: no fault
	log      []string
	contacts []crm.Contact
	keys     map[string]string
	open     []crm.Deal
	running  map[bridge.Number]int
	overlap  bool
}

func (f *fakeCRM) do(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, op)
	if len(f.script) == 0 {
		return nil
	}
	s := f.script[0]
	f.script = f.script[1:]
	if s == nil {
		return nil
	}
	return s(op)
}

func (f *fakeCRM) Check(context.Context) (crm.Report, error) { return crm.Report{}, nil }

func (f *fakeCRM) FindContacts(_ context.Context, n bridge.Number) ([]crm.Contact, error) {
	if err := f.do("find"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []crm.Contact
	for _, c := range f.contacts {
		if slices.Contains(c.Phones, n) {
			out = append(out, c)
		}
	}
	return out, nil
}

func (f *fakeCRM) CreateContact(_ context.Context, key crm.Key, c crm.NewContact) (crm.Contact, error) {
	f.mu.Lock()
	if f.running[c.Phone]++; f.running[c.Phone] > 1 {
		f.overlap = true
	}
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.running[c.Phone]--; f.mu.Unlock() }()
	time.Sleep(10 * time.Millisecond) // virtual
	err := f.do("create contact")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && !errors.Is(err, errStored) {
		return crm.Contact{}, err
	}
	made := crm.Contact{ID: crm.ContactID("c" + key.ID), Name: c.Name, Phones: []bridge.Number{c.Phone}, Responsible: c.Responsible}
	f.contacts = append(f.contacts, made)
	return made, err
}

func (f *fakeCRM) CreateTask(_ context.Context, key crm.Key, t crm.NewTask) (crm.Made, error) {
	if err := f.do("create task " + string(t.Contact)); err != nil && !errors.Is(err, errStored) {
		return crm.Made{}, err
	} else if err != nil {
		f.keep(key)
		return crm.Made{}, err
	}
	f.mu.Lock()
	old, there := f.keys[key.ID]
	f.mu.Unlock()
	if key.Look && there {
		return crm.Made{ID: crm.ObjectID(old), Found: true}, nil
	}
	return crm.Made{ID: crm.ObjectID(f.keep(key))}, nil
}

func (f *fakeCRM) keep(key crm.Key) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = map[string]string{}
	}
	for f.keys[key.ID] != "" {
		key.ID += "+" // a second object of one key shows as a longer one
	}
	f.keys[key.ID] = "t" + key.ID
	return f.keys[key.ID]
}

func (f *fakeCRM) OpenDeals(context.Context, crm.ContactID) ([]crm.Deal, error) {
	return f.open, f.do("open deals")
}

func (f *fakeCRM) CreateDeal(_ context.Context, key crm.Key, _ crm.NewDeal) (crm.Made, error) {
	return crm.Made{ID: crm.ObjectID("d" + key.ID)}, f.do("create deal")
}

var errStored = errors.New("stored, but the answer was lost")

type staffOf map[string]crm.Employee

func (s staffOf) ByExtension(e string) (crm.Employee, bool) { x, ok := s[e]; return x, ok }
func (s staffOf) ByEmail(m string) (crm.Employee, bool) {
	for _, e := range s {
		if e.Email == m {
			return e, true
		}
	}
	return crm.Employee{}, false
}
func (s staffOf) ByUser(id crm.UserID) (crm.Employee, bool) {
	for _, e := range s {
		if e.User == id {
			return e, true
		}
	}
	return crm.Employee{}, false
}

type counts struct {
	mu   sync.Mutex
	all  map[string]int
	held []string
}

func (c *counts) Delivered(_ string, k bridge.ActionKind, result string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]int{}
	}
	c.all[string(k)+"/"+result]++
}

func (c *counts) Held(_, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, reason)
}

// bench is a worker with everything around it.
type bench struct {
	*memory
	crm    *fakeCRM
	worker *Worker
	counts *counts
	nextID int64
}

func newBench(_ *testing.T) *bench {
	b := &bench{memory: newMemory(), crm: &fakeCRM{running: map[bridge.Number]int{}}, counts: &counts{}}
	b.worker = NewWorker(Target{Settings: bridge.Integration{ID: "x", DefaultResponsible: "olga@example.ru"}, Title: "Test CRM",
		Client: b.crm, Book: NewBook("x", b.crm, b.memory, time.Now),
		People:    staffOf{"101": {User: "7", Email: "ivan@example.ru", Extension: "101", Active: true}, "102": {User: "8", Email: "olga@example.ru", Extension: "102", Active: true}},
		Lines:     func(n string) bridge.Line { return bridge.Line{Number: n, Name: "Сайт"} },
		Employee:  func(string) string { return "" },
		RecordURL: func(*bridge.Call) string { return "" }, Zone: time.UTC},
		b.memory, b.counts, slog.New(slog.DiscardHandler), time.Now, 4)
	return b
}

// call puts an ended call with these actions into the store.
func (b *bench) call(id string, client bridge.Number, talked string, actions ...bridge.Action) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	talk := int64(3000)
	c := bridge.Call{ID: id, Direction: bridge.In, Outcome: bridge.Missed, Client: client, ClientRaw: string(client), Line: "+74951234567",
		StartedAt: bridge.At(time.Now()), EndedAt: bridge.At(time.Now())}
	if talked != "" {
		c.Outcome, c.AnsweredBy, c.TalkMS = bridge.Answered, []string{talked}, &talk
	}
	b.calls[id] = c
	var ids []int64
	for _, a := range actions {
		b.nextID++
		a.Key = "callbridge:" + id + ":" + string(a.Kind)
		a.Wanted = true
		b.rows[b.nextID] = &bridge.Delivery{ID: b.nextID, Integration: "x", CallID: id, Client: c.ClientKey(), Action: a,
			State: bridge.Waiting, CreatedAt: bridge.At(time.Now()), NextAt: bridge.At(time.Now())}
		ids = append(ids, b.nextID)
	}
	return ids
}
