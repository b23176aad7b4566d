package app

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/track"
	"callbridge/crm"
	"callbridge/store"
)

// onPhone knows which extensions are talking. The core tells it; it never blocks.
type onPhone struct {
	mu    sync.Mutex
	talks map[string]map[string]bool // extension → calls in which it talks
}

// changed takes over a call and returns the extensions that began or ended to talk.
func (o *onPhone) changed(c *bridge.Call) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.talks == nil {
		o.talks = map[string]map[string]bool{}
	}
	talking, known := map[string]bool{}, map[string]bool{}
	for _, l := range c.Legs {
		if l.Extension != "" {
			known[l.Extension] = true
			talking[l.Extension] = talking[l.Extension] || !c.Ended() && !l.AnswerAt.IsZero() && l.EndAt.IsZero()
		}
	}
	for ext, calls := range o.talks { // a leg may turn out to be no leg of the call
		if calls[c.ID] {
			known[ext] = true
		}
	}
	var turned []string
	for ext := range known {
		was := len(o.talks[ext]) > 0
		if talking[ext] {
			if o.talks[ext] == nil {
				o.talks[ext] = map[string]bool{}
			}
			o.talks[ext][c.ID] = true
		} else if delete(o.talks[ext], c.ID); len(o.talks[ext]) == 0 {
			delete(o.talks, ext)
		}
		if was != (len(o.talks[ext]) > 0) {
			turned = append(turned, ext)
		}
	}
	return turned
}

// forget drops a call that turned out to be part of another.
func (o *onPhone) forget(id string) []string { return o.changed(&bridge.Call{ID: id}) }

func (o *onPhone) busy(ext string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.talks[ext]) > 0
}

// talking is called by the core for every change of a call.
func (a *App) talking(ch *track.Change) {
	turned := a.phone.changed(&ch.Call)
	for _, id := range ch.Merged {
		turned = append(turned, a.phone.forget(id)...)
	}
	if len(turned) == 0 {
		return
	}
	for _, t := range a.targets() {
		for _, ext := range turned {
			t.board.mark(ext)
		}
	}
}

// statusBoard is what one CRM is still to be told about its users. What is
// told is what holds by then, so that a slow CRM misses the steps between.
type statusBoard struct {
	mu    sync.Mutex
	dirty map[string]crm.UserStatus // by extension; "" means: only look whether he talks
	wake  chan struct{}
}

func newStatusBoard() *statusBoard {
	return &statusBoard{dirty: map[string]crm.UserStatus{}, wake: make(chan struct{}, 1)}
}

func (b *statusBoard) mark(ext string) { b.set(ext, "") }

// set also says what the user wants to be when he does not talk.
func (b *statusBoard) set(ext string, s crm.UserStatus) {
	b.mu.Lock()
	if old := b.dirty[ext]; s == "" {
		s = old
	}
	b.dirty[ext] = s
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *statusBoard) take() map[string]crm.UserStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.dirty
	b.dirty = map[string]crm.UserStatus{}
	return d
}

// statusPause is how long a CRM that could not be told is left alone.
const statusPause = 10 * time.Second

// showStatuses keeps the CRM of t told of who talks and who does not want to
// be disturbed, until ctx ends. Who is shown as busy for our sake is stored
// before the CRM hears of it: a program that was killed meanwhile puts it right.
func (a *App) showStatuses(ctx context.Context, t *target) {
	setter, ok := t.client.(crm.StatusSetter)
	if !ok {
		return
	}
	if rows, err := a.db.UserStatuses(ctx, t.settings.ID); err == nil {
		for _, r := range rows {
			t.board.mark(r.Extension)
		}
	}
	for ext := range a.phone.all() {
		t.board.mark(ext)
	}
	for !t.dead() {
		todo := t.board.take()
		failed := false
		for _, ext := range slices.Sorted(maps.Keys(todo)) {
			err := a.showStatus(ctx, t, setter, ext, todo[ext])
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				continue
			}
			t.refused(ctx, "set user status", err)
			kind := fault.KindOf(err)
			// The CRM's own words may name people: the kind of trouble must do.
			a.log.Warn("the CRM could not be told what an employee is doing", "integration", t.settings.ID, "kind", kind.String())
			if kind == fault.Temporary || kind == fault.Uncertain || kind == fault.RateLimited {
				t.board.set(ext, todo[ext])
				failed = true
			}
		}
		var again <-chan time.Time
		wake := t.board.wake
		if failed {
			again, wake = time.After(statusPause), nil
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-again:
		}
	}
}

func (o *onPhone) all() map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]bool{}
	for ext := range o.talks {
		out[ext] = true
	}
	return out
}

// showStatus tells the CRM of one employee: busy while he talks, and what he
// was before afterwards. want is what he has set himself to here, "" if nothing.
func (a *App) showStatus(ctx context.Context, t *target, setter crm.StatusSetter, ext string, want crm.UserStatus) error {
	id := t.settings.ID
	rows, err := a.db.UserStatuses(ctx, id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(r store.UserStatus) bool { return r.Extension == ext })
	who, joined := t.ByExtension(ext)
	talks := joined && who.User != "" && a.phone.busy(ext)
	if i < 0 && !talks && (want == "" || !joined || who.User == "") {
		return nil
	}
	user := who.User
	if i >= 0 {
		user = crm.UserID(rows[i].User) // whoever had the extension then
	}
	// Somebody looks at the CRM for a do-not-disturb; a busy sign can wait its turn.
	p := crm.Backfill
	if want != "" {
		p = crm.Urgent
	}
	ctx, cancel := context.WithTimeout(t.asking(ctx, p), 30*time.Second)
	defer cancel()
	switch {
	case talks && i < 0:
		was := want
		if was == "" {
			if was, err = statusNow(ctx, setter, user); err != nil {
				return err
			}
		}
		if was == "" || was == crm.StatusBusy {
			return nil // busy by himself: not ours to end
		}
		row := store.UserStatus{Integration: id, Extension: ext, User: string(user), Was: string(was), Since: time.Now().UnixMilli()}
		if err := a.db.SaveUserStatus(ctx, row); err != nil {
			return err
		}
		return a.orForget(ctx, id, ext, setter.SetStatus(ctx, user, crm.StatusBusy))
	case talks:
		if want == "" {
			return nil
		}
		rows[i].Was = string(want) // shown when he has hung up
		return a.db.SaveUserStatus(ctx, rows[i])
	case i >= 0:
		now, err := statusNow(ctx, setter, user)
		if err != nil {
			return a.orForget(ctx, id, ext, err)
		}
		if _, reads := setter.(crm.StatusReader); want != "" || now == crm.StatusBusy || !reads {
			// Still as we left it; what he set in the CRM himself meanwhile stays.
			if want == "" {
				want = crm.UserStatus(rows[i].Was)
			}
			if err := setter.SetStatus(ctx, user, want); err != nil {
				return a.orForget(ctx, id, ext, err)
			}
		}
		return a.db.DeleteUserStatus(ctx, id, ext)
	}
	return setter.SetStatus(ctx, user, want)
}

// orForget forgets what can never be shown: repeating a refusal helps nobody.
func (a *App) orForget(ctx context.Context, id, ext string, err error) error {
	if err == nil {
		return nil
	}
	if k := fault.KindOf(err); k == fault.Forbidden || k == fault.Invalid || k == fault.Gone {
		return errors.Join(err, a.db.DeleteUserStatus(context.WithoutCancel(ctx), id, ext))
	}
	return err
}

func statusNow(ctx context.Context, s crm.StatusSetter, user crm.UserID) (crm.UserStatus, error) {
	r, ok := s.(crm.StatusReader)
	if !ok {
		return crm.StatusFree, nil
	}
	return r.Status(ctx, user)
}

// tellStatus tells the CRMs that an employee does not want to be disturbed, or
// is free again; not the one that told us.
func (a *App) tellStatus(ext string, on bool, besides string) {
	s := crm.StatusFree
	if on {
		s = crm.StatusAway
	}
	for _, t := range a.targets() {
		if t.settings.ID != besides {
			t.board.set(ext, s)
		}
	}
}

// userStatus is the CRM telling what its user is doing: a break or dinner is
// do-not-disturb, free ends it. Busy is how the CRM shows a call, ours too.
func (a *App) userStatus(w http.ResponseWriter, r *http.Request) {
	t, ext := a.userOfCRM(w, r)
	if t == nil {
		return
	}
	teller, ok := t.client.(crm.StatusTeller)
	var s crm.UserStatus
	if ok {
		s, ok = teller.StatusTold(r.FormValue("status"))
	}
	if !ok {
		crmAnswer(w, http.StatusBadRequest, "unknown status")
		return
	}
	on := s == crm.StatusAway || s == crm.StatusMeal
	if (on || s == crm.StatusFree) && a.hub.DND(ext) != on {
		ctx, cancel := context.WithTimeout(r.Context(), 4*time.Second)
		defer cancel()
		if err := a.switchDND(ctx, ext, on, t.settings.ID); err != nil {
			a.log.Error("do-not-disturb could not be switched for the CRM", "integration", t.settings.ID, "err", err)
			crmAnswer(w, http.StatusInternalServerError, "not switched")
			return
		}
	}
	crmAnswer(w, http.StatusOK, "")
}
