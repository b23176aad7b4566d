package staff

import (
	"context"
	"fmt"
	"time"

	"callbridge/crm"
)

// Every is how often employees are synchronised (M-2.2.5).
const Every = 2 * time.Hour

// Store keeps the last good list of each integration.
type Store interface {
	LoadStaff(ctx context.Context, integration string) (list []crm.Employee, at time.Time, err error)
	SaveStaff(ctx context.Context, integration string, list []crm.Employee, at time.Time) error
}

// Shrunken is the alarm of D-07: the CRM's answer was not believed and the
// old list stays in force.
type Shrunken struct {
	Old, New int    // active employees, or extensions
	What     string // of what there are fewer
	Gone     []string
}

func (e *Shrunken) Error() string {
	return fmt.Sprintf("the CRM now lists %d %s instead of %d; the old list stays in force until this is confirmed", e.New, e.What, e.Old)
}

// Sync reads the CRM's users and keeps them. On any error, *Shrunken included,
// the list returned is the one that stays in force. shorter says that an admin
// has confirmed that the list may have shrunk; an empty one is refused even so.
func Sync(ctx context.Context, integration string, dir crm.Directory, s Store, now time.Time, shorter bool) ([]crm.Employee, error) {
	old, _, err := s.LoadStaff(ctx, integration)
	if err != nil {
		return nil, fmt.Errorf("employees of %s: %w", integration, err)
	}
	list, err := dir.Employees(ctx)
	if err != nil {
		return old, fmt.Errorf("employees of %s: %w", integration, err)
	}
	if err := believable(old, list); err != nil && (!shorter || count(list, isActive) == 0) {
		return old, err
	}
	if err := s.SaveStaff(ctx, integration, list, now); err != nil {
		return old, fmt.Errorf("employees of %s: %w", integration, err)
	}
	return list, nil
}

// believable refuses an answer that lost half of the active people, or of
// their extensions, or more: a filter that broke, a right that was taken away
// or an empty page looks just like that, a real company does not. Small lists
// may change freely, but never to nothing.
func believable(old, list []crm.Employee) error {
	for _, c := range []struct {
		what string
		is   func(crm.Employee) bool
	}{{"active employees", isActive}, {"extensions", hasExtension}} {
		was, now := count(old, c.is), count(list, c.is)
		if was > 0 && (now == 0 || was >= 4 && now*2 <= was) {
			return &Shrunken{Old: was, New: now, What: c.what, Gone: gone(old, list, c.is)}
		}
	}
	return nil
}

func isActive(e crm.Employee) bool     { return e.Active }
func hasExtension(e crm.Employee) bool { return e.Active && e.Extension != "" }

func count(list []crm.Employee, is func(crm.Employee) bool) int {
	n := 0
	for _, e := range list {
		if is(e) {
			n++
		}
	}
	return n
}

// gone names those who are missing, at most twenty.
func gone(old, list []crm.Employee, is func(crm.Employee) bool) []string {
	still := map[crm.UserID]bool{}
	for _, e := range list {
		still[e.User] = is(e)
	}
	var out []string
	for _, e := range old {
		if is(e) && !still[e.User] && len(out) < 20 {
			out = append(out, cmpOr(e.Name, cmpOr(e.Email, string(e.User))))
		}
	}
	return out
}
