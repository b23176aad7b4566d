package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"callbridge/bridge"
)

// Tokens are those of scripts: with a name, and without a browser.
type Tokens interface {
	List(ctx context.Context) ([]Token, error)
	// Give makes a token with the rights of a user; it is never shown again.
	Give(ctx context.Context, login, label string, life time.Duration) (string, error)
	// Withdraw returns whose it was; ErrNotFound if there is none.
	Withdraw(ctx context.Context, id string) (login string, err error)
}

// Token is one without its secret.
type Token struct {
	ID        string      `json:"id"`
	Login     string      `json:"login"`
	Label     string      `json:"label"`
	CreatedAt bridge.Time `json:"created_at"`
	ExpiresAt bridge.Time `json:"expires_at"`
}

type tokensView struct {
	Tokens   []Token
	Users    []bridge.User
	Problems map[string]string
	Typed    map[string]string
	Given    string
	Gone     bool
}

// Bad says what is wrong with an input.
func (v tokensView) Bad(name string) string { return v.Problems[name] }

func (s *server) mayTokens(r *http.Request) error {
	switch {
	case s.d.Tokens == nil:
		return ErrNotFound
	case who(r).user.Role != bridge.Admin:
		return &apiError{Status: 403, Code: "admins_only"}
	}
	return nil
}

// giveToken checks an order and carries it out.
func (s *server) giveToken(r *http.Request, login, label string, days int) (string, error) {
	label = strings.TrimSpace(label)
	switch {
	case login == "":
		return "", invalid("login", "missing")
	case label == "":
		return "", invalid("label", "missing")
	case len([]rune(label)) > 60 || strings.ContainsFunc(label, unicode.IsControl):
		return "", invalid("label", "bad_label")
	case days < 1 || days > 3650:
		return "", invalid("days", "bad_days")
	}
	user, err := s.d.Users.User(r.Context(), login)
	if errors.Is(err, ErrNotFound) {
		return "", invalid("login", "no_user")
	}
	if err != nil {
		return "", err
	}
	token, err := s.d.Tokens.Give(r.Context(), user.Login, label, time.Duration(days)*24*time.Hour)
	if err == nil {
		s.audit(r, "token", user.Login+": "+label)
	}
	return token, err
}

func (s *server) withdrawToken(r *http.Request, id string) error {
	login, err := s.d.Tokens.Withdraw(r.Context(), id)
	if err == nil {
		s.audit(r, "token_gone", login)
	}
	return err
}

func (s *server) tokensPage(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayTokens(r); err != nil {
		return err
	}
	l, status := s.language(r), 200
	v := tokensView{Problems: map[string]string{}, Typed: map[string]string{"days": "365"}}
	if r.Method == http.MethodPost {
		if id := r.PostFormValue("withdraw"); id != "" {
			if err := s.withdrawToken(r, id); err != nil {
				return err
			}
			v.Gone = true
		} else {
			for _, k := range []string{"login", "label", "days"} {
				v.Typed[k] = r.PostFormValue(k)
			}
			days, _ := strconv.Atoi(strings.TrimSpace(v.Typed["days"])) // no number is 0 and refused as such
			token, err := s.giveToken(r, v.Typed["login"], v.Typed["label"], days)
			if e, ok := errors.AsType[*apiError](err); ok {
				v.Problems[e.Field], status = l.t("error."+e.Code), e.Status
			} else if err != nil {
				return err
			}
			v.Given = token
		}
	}
	var err error
	if v.Tokens, err = s.d.Tokens.List(r.Context()); err != nil {
		return err
	}
	if s.d.Admin != nil {
		now, _, err := s.d.Admin.Settings(r.Context())
		if err != nil {
			return err
		}
		v.Users = now.Users
	}
	return s.settingsRender(w, r, status, "tokens.html", "set.tokens", v)
}

func (s *server) apiTokens(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayTokens(r); err != nil {
		return err
	}
	list, err := s.d.Tokens.List(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"tokens": append([]Token{}, list...)})
	return nil
}

func (s *server) apiGiveToken(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayTokens(r); err != nil {
		return err
	}
	var in struct {
		Login string `json:"login"`
		Label string `json:"label"`
		Days  int    `json:"days"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	token, err := s.giveToken(r, in.Login, in.Label, in.Days)
	if err != nil {
		return err
	}
	writeJSON(w, 201, map[string]any{"token": token})
	return nil
}

func (s *server) apiWithdrawToken(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayTokens(r); err != nil {
		return err
	}
	if err := s.withdrawToken(r, r.PathValue("id")); err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"ok": true})
	return nil
}
