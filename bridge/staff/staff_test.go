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
			got, err := Sync(t.Context(), "x", answers{list: people(tc.answer)}, m, time.Now())
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
	got, err := Sync(t.Context(), "x", answers{err: errors.New("down")}, m, time.Now())
	if err == nil || len(got) != 3 || len(m.list) != 3 {
		t.Fatalf("got %d, stored %d, err %v", len(got), len(m.list), err)
	}
}

func TestD08EmptyNumbersIndexNothing(t *testing.T) {
	m := NewMap([]crm.Employee{{User: "1", Active: true}, {User: "2", Active: true}, {User: "3", Active: true, Extension: "103"}},
		[]bridge.Employee{{Extension: "", Email: ""}, {Extension: "101", Email: ""}})
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
	}, []bridge.Employee{{Extension: "101", Email: "ivan@example.ru"}, {Extension: "102", Email: "olga@example.ru"}})
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
	}, []bridge.Employee{{Extension: "101", Email: " Ivan@Example.ru"}, {Extension: "108", Email: "gone@example.ru"}})
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
