package crmtest

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
	"callbridge/crm/sandbox"
)

func asFault(err error) (*fault.Error, bool) { return errors.AsType[*fault.Error](err) }

// bubble runs f in virtual time as a subtest.
func (s Setup) bubble(t *testing.T, name string, f func(*testing.T, *bench)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, s.open(t)) })
	})
}

func (s Setup) check(t *testing.T) {
	s.bubble(t, "works and changes nothing", func(t *testing.T, b *bench) {
		before := b.fake.Objects()
		r, err := b.client.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Lines) == 0 {
			t.Error("the report is empty")
		}
		for _, l := range r.Lines {
			if !l.OK {
				t.Errorf("%s: not OK: %s", l.What, l.Help)
			}
		}
		if after := b.fake.Objects(); !reflect.DeepEqual(before, after) {
			t.Errorf("Check changed the CRM: %d objects before, %d after", len(before), len(after))
		}
	})
	for _, f := range s.Driver.Fields {
		if !f.Secret || !f.Required {
			continue
		}
		t.Run("wrong "+f.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := s.New()
				v := s.Values(fake, fakeURL)
				v[f.Name] = "wrong-" + v[f.Name]
				b := s.openAt(t, fake, fakeURL, sandbox.Transport(fake), v)
				_, err := b.client.Check(t.Context())
				b.wantKind("Check", err, fault.Auth)
			})
		})
	}
	s.bubble(t, "revoked", func(t *testing.T, b *bench) {
		if _, err := b.client.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.fake.Revoke()
		_, err := b.client.Check(t.Context())
		b.wantKind("Check", err, fault.Auth)
		for _, o := range b.operations() {
			_, err := o.run(t.Context(), b, b.key(o, false), "")
			b.wantKind(string(o.op), err, fault.Auth)
		}
	})
	for _, right := range s.Rights {
		s.bubble(t, "without "+right, func(t *testing.T, b *bench) {
			b.fake.Restrict(right)
			r, err := b.client.Check(t.Context())
			if err != nil {
				t.Fatalf("a missing right is no error of Check: %v", err)
			}
			missing := 0
			for _, l := range r.Lines {
				if !l.OK {
					missing++
					if l.Help == "" {
						t.Errorf("%s: no help", l.What)
					}
				}
			}
			if missing == 0 {
				t.Error("the report does not show the missing right")
			}
		})
	}
}

// spellings are the ways people type number into a CRM.
var spellings = []string{
	"+79161234567", "79161234567", "89161234567", "+7 916 123-45-67", "8 (916) 123-45-67", "+7(916)1234567",
	"8-916-123-45-67", "7 916 123 45 67", "8 916 1234567", "8(916)123-45-67",
}

// lookalikes hold all digits of number and are other numbers.
var lookalikes = []string{"+791612345678", "+3879161234567", "89161234567123", "+7 916 123-45-6", "9161234567890"}

func (s Setup) find(t *testing.T) {
	for _, sp := range spellings {
		s.bubble(t, sp, func(t *testing.T, b *bench) {
			b.fake.SeedContact("Другой", "+79030000000")
			want := b.fake.SeedContact("Нужный", sp)
			got, err := b.client.FindContacts(t.Context(), number)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].ID != want {
				t.Fatalf("found %+v, want contact %s", got, want)
			}
		})
	}
	s.bubble(t, "lookalikes", func(t *testing.T, b *bench) {
		for i, sp := range lookalikes {
			b.fake.SeedContact(name("Похожий ", i), sp)
		}
		b.fake.SeedContact("79161234567 в имени", "+79030000000")
		got, err := b.client.FindContacts(t.Context(), number)
		if err != nil || len(got) != 0 {
			t.Fatalf("found %+v (%v), want nobody", got, err)
		}
	})
	s.bubble(t, "oldest first, any of several numbers", func(t *testing.T, b *bench) {
		first := b.fake.SeedContact("Первый", "+79030000000", "8 (916) 123-45-67")
		time.Sleep(time.Hour) // virtual
		second := b.fake.SeedContact("Второй", "+79161234567")
		got, err := b.client.FindContacts(t.Context(), number)
		if err != nil || len(got) != 2 || got[0].ID != first || got[1].ID != second {
			t.Fatalf("found %+v (%v), want %s, %s", got, err, first, second)
		}
	})
	s.bubble(t, "no number", func(t *testing.T, b *bench) {
		b.fake.SeedContact("Без номера")
		b.fake.SeedContact("С пустым номером", "")
		got, err := b.client.FindContacts(t.Context(), "")
		if err != nil || len(got) != 0 {
			t.Fatalf("found %+v (%v), want nobody (D-08)", got, err)
		}
	})
	s.bubble(t, "what was created", func(t *testing.T, b *bench) {
		c, err := b.client.CreateContact(t.Context(), crm.Key{ID: keyID + "contact"},
			crm.NewContact{Name: "Новый", Phone: number, Responsible: s.Responsible})
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.client.FindContacts(t.Context(), number)
		if err != nil || len(got) != 1 || got[0].ID != c.ID || got[0].Responsible != s.Responsible {
			t.Fatalf("found %+v (%v), want %+v", got, err, c)
		}
	})
}

// repeat proves F-5: after a lost answer the object is found, not doubled.
func (s Setup) repeat(t *testing.T) {
	lost := []struct {
		name    string
		fault   sandbox.Fault
		applied bool
	}{
		{"cut after it was done", sandbox.Fault{AfterApply: true}, true},
		{"half an answer", sandbox.Fault{CutBody: true}, true},
		{"500 after it was done", sandbox.Fault{AfterApply: true, Status: 500, Body: "{}"}, true},
		{"hang after it was done", sandbox.Fault{AfterApply: true, Hang: true}, true},
		{"500 before it was done", sandbox.Fault{Status: 500, Body: "{}"}, false},
		{"cut before it was done", sandbox.Fault{Drop: true}, false},
	}
	ops := s.names(t, true)
	for _, op := range ops {
		for _, l := range lost {
			s.bubble(t, string(op)+", "+l.name, func(t *testing.T, b *bench) {
				contact := b.fake.SeedContact("Клиент", "+79161234567")
				o := b.pick(op)
				b.fake.FailNext(1, s.Match[op], l.fault)
				_, err := o.run(t.Context(), b, b.key(o, false), contact)
				b.wantKind("first attempt", err, fault.Uncertain)
				if n := b.count(o.kind); l.applied && n != 1 {
					t.Fatalf("the fake has %d objects after the first attempt, want 1", n)
				}
				id, err := o.run(t.Context(), b, b.key(o, true), contact)
				if err != nil {
					t.Fatalf("second attempt: %v", err)
				}
				if id == "" {
					t.Error("second attempt: no id")
				}
				if n := b.count(o.kind); n != 1 {
					t.Errorf("%d objects after the second attempt, want 1", n)
				}
			})
		}
		s.bubble(t, string(op)+", two keys are two objects", func(t *testing.T, b *bench) {
			contact := b.fake.SeedContact("Клиент", "+79161234567")
			o := b.pick(op)
			if _, err := o.run(t.Context(), b, b.key(o, false), contact); err != nil {
				t.Fatal(err)
			}
			k := crm.Key{ID: "callbridge:01JD0000000000000000000002:" + string(op)}
			if _, err := o.run(t.Context(), b, k, contact); err != nil {
				t.Fatal(err)
			}
			if n := b.count(o.kind); n != 2 {
				t.Errorf("%d objects, want 2", n)
			}
		})
	}
	s.bubble(t, "call logged twice with one key", func(t *testing.T, b *bench) {
		l, ok := b.client.(crm.CallLogger)
		if !ok {
			return
		}
		r := Record(number, b.fake.SeedContact("Клиент", "+79161234567"), s.Responsible)
		k := crm.Key{ID: keyID + "call"}
		first, err := l.LogCall(t.Context(), k, r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := l.LogCall(t.Context(), k, r)
		if err != nil {
			t.Fatal(err)
		}
		if n := b.count("call"); n != 1 || first.ID != second.ID {
			t.Errorf("%d calls, ids %s and %s; want one", n, first.ID, second.ID)
		}
	})
}

// names lists the operations the adapter has; writes only if so asked.
func (s Setup) names(t *testing.T, writes bool) []Op {
	t.Helper()
	var out []Op
	synctest.Test(t, func(t *testing.T) {
		for _, o := range s.open(t).operations() {
			if o.write || !writes {
				out = append(out, o.op)
			}
		}
	})
	return out
}

func (b *bench) pick(op Op) operation {
	for _, o := range b.operations() {
		if o.op == op {
			return o
		}
	}
	b.t.Fatalf("no operation %s", op)
	return operation{}
}

func (s Setup) faults(t *testing.T) {
	table := []struct {
		name        string
		fault       sandbox.Fault
		read, write fault.Kind
		after       time.Duration
	}{
		{"401", sandbox.Fault{Status: 401, Body: `{}`}, fault.Auth, fault.Auth, 0},
		{"403", sandbox.Fault{Status: 403, Body: `{}`}, fault.Forbidden, fault.Forbidden, 0},
		{"429", sandbox.Fault{Status: 429, Body: `{}`}, fault.RateLimited, fault.RateLimited, time.Second},
		{"429 with delay", sandbox.Fault{Status: 429, Body: `{}`, RetryAfter: "77"}, fault.RateLimited, fault.RateLimited, 77 * time.Second},
		{"500", sandbox.Fault{Status: 500, Body: `oops`}, fault.Temporary, fault.Uncertain, 0},
		{"502 web page", sandbox.Fault{Status: 502, HTML: true}, fault.Temporary, fault.Uncertain, 0},
		{"web page with 200", sandbox.Fault{Status: 200, HTML: true}, fault.Temporary, fault.Uncertain, 0},
		{"empty 200", sandbox.Fault{Status: 200}, fault.Temporary, fault.Uncertain, 0},
		{"half an answer", sandbox.Fault{CutBody: true}, fault.Temporary, fault.Uncertain, 0},
		{"cut", sandbox.Fault{Drop: true}, fault.Temporary, fault.Uncertain, 0},
		{"hang", sandbox.Fault{Hang: true}, fault.Temporary, fault.Uncertain, 0},
	}
	for _, op := range s.names(t, false) {
		for _, c := range table {
			s.bubble(t, string(op)+", "+c.name, func(t *testing.T, b *bench) {
				contact := b.fake.SeedContact("Клиент", "+79161234567")
				o := b.pick(op)
				b.fake.FailNext(-1, s.Match[op], c.fault)
				want := c.read
				if o.write {
					want = c.write
				}
				began := time.Now()
				_, err := o.run(t.Context(), b, b.key(o, false), contact)
				b.wantKind(string(op), err, want)
				if got := fault.After(err); got < c.after {
					t.Errorf("After is %v, want at least %v", got, c.after)
				}
				if took := time.Since(began); took > 2*time.Minute {
					t.Errorf("took %v: a request has no deadline", took)
				}
			})
		}
		s.bubble(t, string(op)+", the caller's deadline", func(t *testing.T, b *bench) {
			contact := b.fake.SeedContact("Клиент", "+79161234567")
			o := b.pick(op)
			if _, err := b.client.FindContacts(t.Context(), number); err != nil {
				t.Fatal(err)
			}
			b.fake.FailNext(-1, s.Match[op], sandbox.Fault{Hang: true})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			_, err := o.run(ctx, b, b.key(o, false), contact)
			if err == nil {
				t.Error("no error from a hanging server")
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v, the context allowed 3s", took)
			}
		})
	}
}

// emptyStaff: an empty list is an answer, not an error; the caller decides (D-07).
func (s Setup) emptyStaff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := s.open(t)
		d, ok := b.client.(crm.Directory)
		if !ok {
			return
		}
		all, err := d.Employees(t.Context())
		if err != nil || len(all) == 0 {
			t.Fatalf("%d employees (%v), the fake should have some", len(all), err)
		}
		b.fake.ClearUsers()
		all, err = d.Employees(t.Context())
		if err != nil || len(all) != 0 {
			t.Fatalf("%d employees (%v), want none", len(all), err)
		}
	})
}

// secrets: whatever a server sends back, no secret is shown.
func (s Setup) secrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := s.open(t)
		var hidden []string
		for _, f := range s.Driver.Fields {
			if f.Secret && b.values[f.Name] != "" {
				hidden = append(hidden, b.values[f.Name])
			}
		}
		var seen strings.Builder
		tr := &crm.Trace{}
		ctx := crm.WithTrace(t.Context(), tr)
		echo := "you sent " + strings.Join(hidden, " and ")
		note := func(err error) { fmt.Fprintf(&seen, "%v\n%+v\n%#v\n%q\n", err, err, err, err) }
		_, err := b.client.Check(ctx)
		note(err)
		for _, o := range b.operations() {
			for _, f := range []sandbox.Fault{
				{Status: 400, Body: `{"errorMsg":"` + echo + `","errors":["` + echo + `"],"success":false}`},
				{Status: 403, Body: `{"errorMsg":"` + echo + `"}`},
				{Status: 500, Body: echo}, {Status: 200, HTML: true, Body: "<p>" + echo}, {Drop: true},
				{Status: 302, Body: echo},
			} {
				b.fake.FailNext(1, s.Match[o.op], f)
				_, err := o.run(ctx, b, b.key(o, false), "")
				note(err)
				b.fake.FailNext(1, "", f) // whatever comes first: log in, search
				_, err = o.run(ctx, b, b.key(o, true), "")
				note(err)
			}
			_, err := o.run(ctx, b, b.key(o, true), "")
			note(err)
			fmt.Fprintf(&seen, "%+v\n", tr.Exchanges())
		}
		seen.WriteString(b.log.String())
		if len(tr.Exchanges()) == 0 {
			t.Error("the trace is empty")
		}
		for _, h := range hidden {
			if strings.Contains(seen.String(), h) {
				at := strings.Index(seen.String(), h)
				t.Errorf("a secret is shown: …%s…", seen.String()[max(0, at-120):at])
			}
		}
		if strings.Contains(seen.String(), string(number)) {
			t.Error("a client's number is shown")
		}
	})
}

func (s Setup) concurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := s.open(t)
		var wg sync.WaitGroup
		const clients = 8
		for i := range clients {
			wg.Go(func() {
				n := bridge.Number(fmt.Sprintf("+7916000%04d", i))
				c, err := b.client.CreateContact(t.Context(), crm.Key{ID: fmt.Sprintf("callbridge:c%d:contact", i)},
					crm.NewContact{Name: name("Клиент ", i), Phone: n, Responsible: s.Responsible})
				if err != nil {
					t.Error(err)
					return
				}
				got, err := b.client.FindContacts(t.Context(), n)
				if err != nil || len(got) != 1 || got[0].ID != c.ID {
					t.Errorf("found %+v (%v), want %s", got, err, c.ID)
				}
			})
		}
		wg.Wait()
		if n := b.count("contact"); n != clients {
			t.Errorf("%d contacts, want %d", n, clients)
		}
	})
}

// wire repeats the most important cases over a real connection, where the
// HTTP client has its own ideas about repeating and redirecting.
func (s Setup) wire(t *testing.T) {
	start := func(t *testing.T) *bench {
		f := s.New()
		srv := httptest.NewServer(f)
		t.Cleanup(srv.Close)
		return s.openAt(t, f, srv.URL, srv.Client().Transport, s.Values(f, srv.URL))
	}
	cases := []struct {
		name string
		f    sandbox.Fault
		want fault.Kind
	}{
		{"cut after it was done", sandbox.Fault{AfterApply: true}, fault.Uncertain},
		{"half an answer", sandbox.Fault{CutBody: true}, fault.Uncertain},
		{"hang", sandbox.Fault{AfterApply: true, Hang: true}, fault.Uncertain},
		{"redirect", sandbox.Fault{Status: 307, Body: ""}, fault.Temporary},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := start(t)
			o := b.pick(Contact)
			if _, err := b.client.FindContacts(t.Context(), number); err != nil {
				t.Fatal(err)
			}
			b.fake.FailNext(1, s.Match[Contact], c.f)
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			_, err := o.run(ctx, b, b.key(o, false), "")
			b.wantKind("first attempt", err, c.want)
			if _, err := o.run(t.Context(), b, b.key(o, true), ""); err != nil {
				t.Fatal(err)
			}
			if n := b.count("contact"); n != 1 {
				t.Errorf("%d contacts, want 1", n)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		f := s.New()
		srv := httptest.NewServer(f)
		b := s.openAt(t, f, srv.URL, nil, s.Values(f, srv.URL))
		srv.Close()
		for _, o := range b.operations() {
			_, err := o.run(t.Context(), b, b.key(o, false), "")
			b.wantKind(string(o.op), err, fault.Temporary)
		}
	})
}
