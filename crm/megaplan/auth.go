package megaplan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

const tokenPath = "/auth/access_token"

// kept is what survives a restart, as JSON in the account's state.
type kept struct {
	For     string    `json:"for,omitempty"` // digest of address, login and password these tokens belong to
	Access  string    `json:"access,omitempty"`
	Refresh string    `json:"refresh,omitempty"`
	Renew   time.Time `json:"renew,omitzero"` // from then on it is renewed ahead
	End     time.Time `json:"end,omitzero"`
	// Facts are what was found out about the account, each believed for a day.
	Facts map[string]fact `json:"facts,omitempty"`
}

type fact struct {
	Is    string    `json:"is"`
	Until time.Time `json:"until"`
}

const (
	factWhen = "when" // how the account takes the time of a todo: update, never
	factOwn  = "own"  // whether it makes a communication of a call by itself: yes, no
)

// auth gives tokens. They belong to the account: whoever else logs in as the
// same user at the same address, in this process or another, uses the same
// ones, and one at a time renews. A refresh token works once only, so the new
// one is saved before it is used.
type auth struct {
	api        *crm.API
	env        crm.Env
	account    crm.Account
	owner      string // who the tokens belong to: see kept.For
	user, pass string
	static     string

	// turn is held while a token is looked at or renewed; a channel, so that
	// waiting ends with the caller's context.
	turn    chan struct{}
	now     kept
	looked  bool  // what the account holds was seen
	unsaved bool  // now holds tokens that the account has not taken yet
	refused error // what the last login was refused with, nil if it was not

	// logins counts finished logins: who waited for his turn while one was
	// refused does not try the same again.
	logins atomic.Int64
}

func newAuth(api *crm.API, env crm.Env, base, user, pass, static string) *auth {
	digest := func(parts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
		return hex.EncodeToString(sum[:8])
	}
	a := &auth{api: api, env: env, user: user, pass: pass, static: static, turn: make(chan struct{}, 1)}
	a.owner = digest(base, user, pass, static)
	if env.Accounts != nil {
		a.account = env.Accounts("megaplan:" + digest(base, user, digest(static)))
	} else {
		a.account = crm.NewAccount(nil, nil)
	}
	a.now.For = a.owner
	return a
}

// adopt takes over what the account holds, if it is of the same password.
func (a *auth) adopt(state []byte) {
	a.looked = true
	var stored kept
	if a.unsaved || json.Unmarshal(state, &stored) != nil || stored.For != a.owner {
		return
	}
	a.now = stored
	a.api.AddSecret(a.now.Access)
	a.api.AddSecret(a.now.Refresh)
}

// inTurn lets do change the account while nobody else does.
func (a *auth) inTurn(ctx context.Context, do func() error) error {
	state, release, err := a.account.Turn(ctx)
	if err != nil {
		return &fault.Error{Kind: fault.Temporary, Op: "megaplan: tokens of the account", Err: err}
	}
	defer release()
	a.adopt(state)
	return do()
}

func (a *auth) lock(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &fault.Error{Kind: fault.Temporary, Op: "megaplan: log in", Err: ctx.Err()}
	}
}

func (a *auth) unlock() { <-a.turn }

// token returns a token that should work.
func (a *auth) token(ctx context.Context) (string, error) {
	if a.static != "" {
		return a.static, nil
	}
	seen := a.logins.Load()
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	if a.refused != nil && a.logins.Load() != seen {
		return "", a.refused
	}
	now := a.env.Now()
	if !a.unsaved && a.now.Access != "" && now.Before(a.now.Renew) {
		return a.now.Access, nil
	}
	err := a.obtain(ctx, "")
	if err != nil && !a.unsaved && a.now.Access != "" && now.Before(a.now.End) && fault.KindOf(err) != fault.Auth {
		return a.now.Access, nil // we were early; it still lives
	}
	return a.now.Access, err
}

// renew is asked after a token was refused. Whoever comes second finds the
// work done.
func (a *auth) renew(ctx context.Context, refused string, why error) (string, error) {
	if a.static != "" {
		return "", why
	}
	seen := a.logins.Load()
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	if a.refused != nil && a.logins.Load() != seen {
		return "", a.refused
	}
	if a.now.Access == refused || a.now.Access == "" {
		if err := a.obtain(ctx, refused); err != nil {
			return "", err
		}
	}
	return a.now.Access, nil
}

// obtain takes the token that somebody else got meanwhile, or refreshes, or
// logs in if there is nothing to refresh with. A refused token is not taken.
func (a *auth) obtain(ctx context.Context, refused string) error {
	return a.inTurn(ctx, func() error {
		if a.unsaved {
			if err := a.save(ctx); err != nil {
				return err
			}
		}
		if a.now.Access != "" && a.now.Access != refused && a.env.Now().Before(a.now.Renew) {
			return nil
		}
		if a.now.Access == refused {
			a.now.Access = ""
		}
		if a.now.Refresh != "" {
			err := a.ask(ctx, "refresh token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.now.Refresh}})
			if err == nil || fault.KindOf(err) != fault.Auth {
				return err
			}
			a.now.Refresh = "" // dead: nobody shall try it again
			if err := a.save(ctx); err != nil {
				return err
			}
		}
		err := a.ask(ctx, "log in", url.Values{"grant_type": {"password"}, "username": {a.user}, "password": {a.pass}})
		a.refused = nil
		if err != nil && fault.KindOf(err) == fault.Auth {
			a.now.Access = ""
			a.refused = err
		}
		a.logins.Add(1)
		return err
	})
}

func (a *auth) ask(ctx context.Context, op string, form url.Values) error {
	type answer struct {
		Access  crm.Text `json:"access_token"`
		Refresh crm.Text `json:"refresh_token"`
		Expires crm.Text `json:"expires_in"`
	}
	var got struct {
		answer
		Data maybe[answer] `json:"data"` // one client expects them there
	}
	asked := a.env.Now()
	err := a.api.Do(ctx, crm.Request{Op: op, Method: http.MethodPost, Path: tokenPath, Form: form, Safe: true, Hidden: true}, &got)
	if err != nil {
		return err
	}
	t := got.answer
	if t.Access == "" {
		t = got.Data.get()
	}
	if t.Access == "" {
		return fault.New(fault.Temporary, "megaplan: "+op, "the answer holds no token; check the address")
	}
	life := time.Duration(t.Expires.Int()) * time.Second
	if life <= 0 {
		life = time.Hour
	}
	a.api.AddSecret(string(t.Access))
	a.api.AddSecret(string(t.Refresh))
	a.now.Access, a.now.Refresh = string(t.Access), string(t.Refresh)
	a.now.Renew, a.now.End = asked.Add(life*9/10), asked.Add(life)
	return a.save(ctx)
}

// save stores the tokens, all in one; until that has worked they are not used,
// since the refresh token before is dead already.
func (a *auth) save(ctx context.Context) error {
	a.unsaved = true
	b, err := json.Marshal(a.now)
	if err == nil {
		err = a.account.Save(ctx, b)
	}
	if err != nil {
		return &fault.Error{Kind: fault.Temporary, Op: "megaplan: keep token", Err: err}
	}
	a.unsaved = false
	return nil
}

// fact returns what was found out about the account, "" if nothing is known.
func (a *auth) fact(ctx context.Context, name string) string {
	if a.lock(ctx) != nil {
		return ""
	}
	defer a.unlock()
	if !a.looked && a.inTurn(ctx, func() error { return nil }) != nil {
		return ""
	}
	f := a.now.Facts[name]
	if !a.env.Now().Before(f.Until) {
		return ""
	}
	return f.Is
}

// learn remembers it for a day.
func (a *auth) learn(ctx context.Context, name, is string) {
	if a.lock(ctx) != nil {
		return
	}
	defer a.unlock()
	if f := a.now.Facts[name]; f.Is == is && a.env.Now().Add(time.Hour).Before(f.Until) {
		return
	}
	err := a.inTurn(ctx, func() error {
		facts := maps.Clone(a.now.Facts)
		if facts == nil {
			facts = map[string]fact{}
		}
		facts[name] = fact{is, a.env.Now().Add(24 * time.Hour)}
		a.now.Facts = facts
		return a.save(ctx)
	})
	if err != nil {
		a.env.Log.WarnContext(ctx, "cannot keep what was learned about the account", "integration", a.env.Integration, "err", err)
	}
}

// classifyToken: the token endpoint answers in OAuth's form (2.1).
func classifyToken(a crm.Answer) *fault.Error {
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
	default:
		return nil
	}
	var e struct {
		Error       crm.Text `json:"error"`
		Description crm.Text `json:"error_description"`
	}
	_ = json.Unmarshal(bytes.TrimSpace(a.Body), &e)
	text := "login or password is wrong"
	if e.Description != "" {
		text += ": " + string(e.Description)
	}
	return &fault.Error{Kind: fault.Auth, Err: errors.New(text)}
}
