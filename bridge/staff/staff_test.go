package staff

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
)

type memory struct{ list []crm.Employee }

func (m *memory) LoadStaff(context.Context, string) ([]crm.Employee, time.Time, error) {
	return m.list, time.Time{}, nil
}

func (m *memory) SaveStaff(_ context.Context, _ string, l []crm.Employee, _ time.Time) error {
	m.list = l
	return nil
}

type answers struct {
	list []crm.Employee
	err  error
}

func (a answers) Employees(context.Context) ([]crm.Employee, error) { return a.list, a.err }

func people(n int) []crm.Employee {
	var out []crm.Employee
	for i := range n {
		out = append(out, crm.Employee{User: crm.UserID(rune('a' + i)), Active: true, Extension: "10" + string(rune('0'+i))})
	}
	return out
}

func TestD07EmptyStaffListKeepsMap(t *testing.T) {
	for name, tc := range map[string]struct {
		old, answer int
		refused     bool
	}{
		"first list":        {0, 5, false},
		"empty":             {5, 0, true},
		"empty of one":      {1, 0, true},
		"half gone":         {8, 4, true},
		"one left":          {5, 4, false},
		"small list shrank": {3, 1, false},
		"grew":              {3, 9, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{list: people(tc.old)}
			got, err := Sync(t.Context(), "x", answers{list: people(tc.answer)}, m, time.Now(), false)
			_, refused := errors.AsType[*Shrunken](err)
			if refused != tc.refused {
				t.Fatalf("err = %v, want refused %v", err, tc.refused)
			}
			want := tc.answer
			if refused {
				want = tc.old
			}
			if len(got) != want || len(m.list) != want {
				t.Fatalf("in force %d, stored %d, want %d", len(got), len(m.list), want)
			}
		})
	}
}

func TestSyncErrorKeepsOldList(t *testing.T) {
	m := &memory{list: people(3)}
	got, err := Sync(t.Context(), "x", answers{err: errors.New("down")}, m, time.Now(), false)
	if err == nil || len(got) != 3 || len(m.list) != 3 {
		t.Fatalf("got %d, stored %d, err %v", len(got), len(m.list), err)
	}
}

func TestD08EmptyNumbersIndexNothing(t *testing.T) {
	m := NewMap([]crm.Employee{{User: "1", Active: true}, {User: "2", Active: true}, {User: "3", Active: true, Extension: "103"}},
		[]bridge.Employee{{Extension: "", Email: ""}, {Extension: "101", Email: ""}}, nil, Wishes{})
	if _, ok := m.ByExtension(""); ok {
		t.Fatal("the empty extension found somebody")
	}
	if _, ok := m.ByEmail(""); ok {
		t.Fatal("the empty e-mail found somebody")
	}
	if m.Size() != 1 {
		t.Fatalf("size %d, want 1", m.Size())
	}
}

func TestM216OnlyListedExtensionsCount(t *testing.T) {
	m := NewMap([]crm.Employee{
		{User: "1", Active: true, Email: "Ivan@example.ru", Extension: "101"},
		{User: "2", Active: true, Email: "olga@example.ru"},
	}, []bridge.Employee{{Extension: "101", Email: "ivan@example.ru"}, {Extension: "102", Email: "olga@example.ru"}}, nil, Wishes{})
	if _, ok := m.ByExtension("102"); ok {
		t.Fatal("102 is not in the CRM's telephony settings, yet it was found")
	}
	if e, ok := m.ByExtension("101"); !ok || e.User != "1" {
		t.Fatalf("101: %v %v", e, ok)
	}
	if got := strings.Join(m.Issues(), "\n"); !strings.Contains(got, "extension 102") {
		t.Fatalf("issues do not name extension 102: %q", got)
	}
}

func TestM222JoinedByEmailWhereTheCRMKeepsNoExtensions(t *testing.T) {
	m := NewMap([]crm.Employee{
		{User: "7", Active: true, Email: "ivan@example.ru"},
		{User: "8", Active: false, Email: "gone@example.ru"},
	}, []bridge.Employee{{Extension: "101", Email: " Ivan@Example.ru"}, {Extension: "108", Email: "gone@example.ru"}}, nil, Wishes{})
	e, ok := m.ByExtension("101")
	if !ok || e.User != "7" {
		t.Fatalf("101: %v %v", e, ok)
	}
	if u, _ := m.ByUser("7"); u.Extension != "101" {
		t.Fatalf("user 7 has extension %q", u.Extension)
	}
	if _, ok := m.ByExtension("108"); ok {
		t.Fatal("a dismissed user still has a phone")
	}
}

// D-07: an admin may take a shorter list, never an empty one; lost extensions
// are as bad as lost people.
func TestD07ShorterListNeedsConfirmation(t *testing.T) {
	without := people(8)
	for i := range without {
		without[i].Extension = ""
	}
	for name, tc := range map[string]struct {
		answer  []crm.Employee
		shorter bool
		refused string
	}{
		"half gone":                {people(4), false, "4 active employees instead of 8"},
		"half gone, confirmed":     {people(4), true, ""},
		"empty, confirmed":         {nil, true, "0 active employees"},
		"no extensions":            {without, false, "0 extensions instead of 8"},
		"no extensions, confirmed": {without, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{list: people(8)}
			_, err := Sync(t.Context(), "x", answers{list: tc.answer}, m, time.Now(), tc.shorter)
			if tc.refused == "" {
				if err != nil || len(m.list) != len(tc.answer) {
					t.Errorf("%v, %d stored", err, len(m.list))
				}
				return
			}
			alarm, ok := errors.AsType[*Shrunken](err)
			if !ok || !strings.Contains(err.Error(), tc.refused) || len(m.list) != 8 || len(alarm.Gone) == 0 {
				t.Errorf("%v, %d stored, gone %v", err, len(m.list), alarm.Gone)
			}
		})
	}
}

// Decision 5, M-2.2.2: matched by e-mail once, by the CRM's id afterwards.
func TestM222MatchedByEmailOnceThenByID(t *testing.T) {
	ours := []bridge.Employee{{Extension: "101", Email: "ivan@example.ru"}}
	first := NewMap([]crm.Employee{{User: "7", Active: true, Email: "ivan@example.ru", Name: "Иван"}}, ours, nil, Wishes{})
	links := first.Links(nil)
	if len(links) != 1 || links[0].User != "7" {
		t.Fatalf("links %+v", links)
	}
	for name, tc := range map[string]struct {
		users []crm.Employee
		ours  []bridge.Employee
		user  crm.UserID // at 101, "" if nobody
		issue string
	}{
		"e-mail changed in the CRM":      {users: []crm.Employee{{User: "7", Active: true, Email: "petrov@example.ru"}}, ours: ours, user: "7", issue: "stays joined to user 7"},
		"e-mail gone from the CRM":       {users: []crm.Employee{{User: "7", Active: true}}, ours: ours, user: "7", issue: "empty in the CRM"},
		"another took the e-mail":        {users: []crm.Employee{{User: "7", Active: true, Email: "old@example.ru"}, {User: "9", Active: true, Email: "ivan@example.ru"}}, ours: ours, user: "7", issue: "stays joined"},
		"e-mail changed here":            {users: []crm.Employee{{User: "7", Active: true, Email: "ivan@example.ru"}}, ours: []bridge.Employee{{Extension: "101", Email: "i.petrov@example.ru"}}, user: "7", issue: "stays joined"},
		"another person at the phone":    {users: []crm.Employee{{User: "7", Active: true, Email: "ivan@example.ru"}, {User: "8", Active: true, Email: "olga@example.ru"}}, ours: []bridge.Employee{{Extension: "101", Email: "olga@example.ru"}}, user: "8"},
		"dismissed":                      {users: []crm.Employee{{User: "7", Email: "ivan@example.ru"}}, ours: ours, issue: "default responsible"},
		"deleted, another with his mail": {users: []crm.Employee{{User: "9", Active: true, Email: "ivan@example.ru"}}, ours: ours, user: "9"},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMap(tc.users, tc.ours, links, Wishes{})
			e, ok := m.ByExtension("101")
			if ok != (tc.user != "") || e.User != tc.user {
				t.Errorf("101 is user %q, want %q", e.User, tc.user)
			}
			if byMail, ok := m.ByEmail(tc.ours[0].Email); tc.user != "" && (!ok || byMail.User != tc.user) {
				t.Errorf("%s is user %q, want %q", tc.ours[0].Email, byMail.User, tc.user)
			}
			if got := strings.Join(m.Issues(), "\n"); !strings.Contains(got, tc.issue) {
				t.Errorf("issues %q, want %q", got, tc.issue)
			}
			if l := m.Links(links); len(l) != 1 || tc.user != "" && l[0].User != tc.user {
				t.Errorf("links %+v", l)
			}
		})
	}
}

// Conflicts are told: one e-mail of two users, one extension of two.
func TestM222ConflictsAreListed(t *testing.T) {
	m := NewMap([]crm.Employee{{User: "1", Active: true, Email: "a@example.ru", Extension: "101"}, {User: "2", Active: true, Email: "A@example.ru", Extension: "101"}}, nil, nil, Wishes{})
	got := strings.Join(m.Issues(), "\n")
	if !strings.Contains(got, "share the e-mail") || !strings.Contains(got, "belongs to two users") {
		t.Errorf("issues %q", got)
	}
}
