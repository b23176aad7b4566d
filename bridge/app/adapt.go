package app

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/deliver"
	"callbridge/crm"
	"callbridge/store"
)

// The types below let packages that know nothing of the store use it: each is
// the store seen through the small interface of its user.

// index is the store as deliver.Index: what CRMs said about numbers.
type index struct{ db *store.DB }

func (x index) LoadEntry(ctx context.Context, integration string, n bridge.Number) (deliver.Entry, bool, error) {
	r, err := x.db.Contact(ctx, integration, n)
	if errors.Is(err, store.ErrNotFound) {
		return deliver.Entry{}, false, nil
	}
	if err != nil {
		return deliver.Entry{}, false, err
	}
	return entryOf(r), true, nil
}

func entryOf(r store.ContactRow) deliver.Entry {
	e := deliver.Entry{At: r.UpdatedAt.Time, Several: r.Several, Dealer: crm.UserID(r.Dealer), Deal: r.Deal, DealsAt: r.DealsAt.Time}
	if r.Others != "" && json.Unmarshal([]byte(r.Others), &e.Others) != nil {
		e.Others = nil // for the card only: better none than no entry
	}
	if r.ID != "" {
		e.Contact = crm.Contact{ID: crm.ContactID(r.ID), Kind: r.Kind, Name: r.Name, Company: r.Company,
			Responsible: crm.UserID(r.Responsible), Manager: r.Manager, URL: r.URL, Phones: []bridge.Number{r.Number}}
		e.Several = max(e.Several, 1)
	}
	return e
}

func (x index) SaveEntry(ctx context.Context, integration string, n bridge.Number, e deliver.Entry) error {
	if e.At.IsZero() {
		return x.db.ForgetContact(ctx, integration, n)
	}
	c, others := e.Contact, ""
	if len(e.Others) > 0 {
		b, err := json.Marshal(e.Others)
		if err != nil {
			return err
		}
		others = string(b)
	}
	return x.db.SaveContact(ctx, store.ContactRow{Integration: integration, Number: n, ID: string(c.ID), Kind: c.Kind,
		Name: c.Name, Company: c.Company, Responsible: string(c.Responsible), Manager: c.Manager, URL: c.URL,
		Several: e.Several, UpdatedAt: bridge.At(e.At), Others: others, Dealer: string(e.Dealer), Deal: e.Deal, DealsAt: bridge.At(e.DealsAt)})
}

// people is the store as staff.Store.
type people struct{ db *store.DB }

func (p people) LoadStaff(ctx context.Context, integration string) ([]crm.Employee, time.Time, error) {
	rows, at, err := p.db.Staff(ctx, integration)
	out := make([]crm.Employee, len(rows))
	for i, r := range rows {
		out[i] = crm.Employee{User: crm.UserID(r.User), Email: r.Email, Name: r.Name, Extension: r.Extension, Active: r.Active, Manager: r.Manager}
	}
	return out, at, err
}

func (p people) SaveStaff(ctx context.Context, integration string, list []crm.Employee, at time.Time) error {
	rows := make([]store.StaffRow, len(list))
	for i, e := range list {
		rows[i] = store.StaffRow{User: string(e.User), Email: e.Email, Name: e.Name, Extension: e.Extension, Active: e.Active, Manager: e.Manager}
	}
	return p.db.SaveStaff(ctx, integration, rows, at)
}

// ledger is the store as deliver.Store.
type ledger struct{ *store.DB }

func (l ledger) HoldIntegration(ctx context.Context, id string, since time.Time, reason string) error {
	if err := l.DB.MarkRefused(ctx, id, since); err != nil {
		return err
	}
	_, err := l.DB.HoldIntegration(ctx, id, since, reason)
	return err
}

func (l ledger) HoldKind(ctx context.Context, integration string, kind bridge.ActionKind, reason string) error {
	_, err := l.DB.HoldKind(ctx, integration, kind, reason)
	return err
}

func (l ledger) CallRecord(ctx context.Context, id string) (bridge.Call, error) {
	return l.DB.Call(ctx, id)
}

func (l ledger) OfCall(ctx context.Context, integration, callID string) ([]bridge.Delivery, error) {
	return l.DB.Deliveries(ctx, store.DeliveryFilter{CallID: callID, Integration: integration})
}

func (l ledger) AddAttempt(ctx context.Context, a deliver.Attempt) error {
	row := store.Attempt{DeliveryID: a.DeliveryID, At: bridge.At(a.At), TookMS: a.Took.Milliseconds(), ErrorKind: a.ErrorKind, Error: a.Error}
	var req, resp strings.Builder
	for _, e := range a.Trace {
		req.WriteString(e.Method + " " + e.Path + "\n")
		if e.Request != "" {
			req.WriteString(e.Request + "\n")
		}
		b, err := json.Marshal(struct {
			Op     string `json:"op"`
			Status int    `json:"status"`
			TookMS int64  `json:"took_ms"`
			Error  string `json:"error,omitempty"`
		}{e.Op, e.Status, e.Took.Milliseconds(), e.Error})
		if err != nil {
			return err
		}
		resp.Write(b)
		resp.WriteString("\n")
		if e.Response != "" {
			resp.WriteString(e.Response + "\n")
		}
		row.Code = e.Status
	}
	row.Request, row.Response = req.String(), resp.String()
	return l.DB.AddAttempt(ctx, row)
}

// FinishNext is like Finish for a row that was lost.
func (l ledger) FinishNext(ctx context.Context, d bridge.Delivery, now time.Time, lease time.Duration) (*bridge.Delivery, error) {
	next, err := l.DB.FinishNext(ctx, d, now, lease)
	if errors.Is(err, store.ErrLeaseLost) {
		return nil, nil
	}
	return next, err
}

// Finish takes a row that was lost to another worker for what it is: closed
// or retaken, and no trouble of ours.
func (l ledger) Finish(ctx context.Context, d bridge.Delivery) error {
	err := l.DB.Finish(ctx, d)
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	return err
}
