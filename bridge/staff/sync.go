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
type Shrunken struct{ Old, New int }

func (e *Shrunken) Error() string {
	return fmt.Sprintf("the CRM now lists %d active employees instead of %d; the old list stays in force until this is confirmed", e.New, e.Old)
}

// Sync reads the CRM's users and keeps them. On any error, *Shrunken included,
// the list returned is the one that stays in force.
func Sync(ctx context.Context, integration string, dir crm.Directory, s Store, now time.Time) ([]crm.Employee, error) {
	old, _, err := s.LoadStaff(ctx, integration)
	if err != nil {
		return nil, fmt.Errorf("employees of %s: %w", integration, err)
	}
	list, err := dir.Employees(ctx)
	if err != nil {
		return old, fmt.Errorf("employees of %s: %w", integration, err)
	}
	if err := believable(old, list); err != nil {
		return old, err
	}
	if err := s.SaveStaff(ctx, integration, list, now); err != nil {
		return old, fmt.Errorf("employees of %s: %w", integration, err)
	}
	return list, nil
}

// believable refuses an answer that lost half of the active people or more: a
// filter that broke, a right that was taken away or an empty page looks just
// like that, a real company does not. Small lists may change freely, but
// never to nothing.
func believable(old, list []crm.Employee) error {
	was, is := active(old), active(list)
	if was == 0 {
		return nil
	}
	if is == 0 || (was >= 4 && is*2 <= was) {
		return &Shrunken{Old: was, New: is}
	}
	return nil
}

func active(list []crm.Employee) int {
	n := 0
	for _, e := range list {
		if e.Active {
			n++
		}
	}
	return n
}
