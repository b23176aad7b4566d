package retailcrm

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
)

// same answers everything in one way.
type same struct {
	status int
	body   string
}

func (s same) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body) // as a server does
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(s.body)), Request: r, ContentLength: int64(len(s.body))}, nil
}

// FuzzAnswer: whatever retailCRM answers, each request ends with a value or
// with an error that says what to do, and never with an object without an id.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"success":true,"pagination":{"limit":20,"totalCount":1,"currentPage":1,"totalPageCount":1},"customers":[{"id":5,"phones":[{"number":"+79161234567"}],"managerId":"11"}]}`,
		`{"success":true,"id":7,"managerId":[],"links":{}}`,
		`{"success":"true","users":[{"id":1,"email":null,"active":1,"status":"free"},null],"pagination":[]}`,
		`{"success":false,"errorMsg":"Wrong \"apiKey\" value.","errors":["a",{"b":"c"}]}`,
		`{"success":true,"tasks":[{"id":"3","commentary":"x","customer":[]}],"manager":{"id":0},"calls":[]}`,
		`{"success":true,"pagination":{"totalPageCount":999999999},"customers":[]}`,
		`<html>`, ``, `[]`, `{"success":true}`,
	} {
		f.Add(s, 200)
		f.Add(s, 400)
	}
	f.Fuzz(func(t *testing.T, body string, status int) {
		if status >= 200 && status <= 599 {
			synctest.Test(t, func(t *testing.T) { answers(t, body, status) }) // retailCRM's pace costs no time
		}
	})
}

func answers(t *testing.T, body string, status int) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	one, err := Driver.Open(crm.Env{Integration: "shop", HTTP: &http.Client{Transport: same{status, body}}, Country: "RU", Zone: time.UTC,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}, setting.Values{"url": "https://shop.example.test/", "api_key": "0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	c := one.(*client)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	told := func(err error) {
		if fe, ok := errors.AsType[*fault.Error](err); err != nil && (!ok || fe.Op == "") {
			t.Errorf("an error that does not say what was tried: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("the key stands in %v", err)
		}
	}
	key := crm.Key{ID: "callbridge:c:task", Look: status%2 == 0}
	contacts, err := c.FindContacts(ctx, client1)
	told(err)
	for _, x := range contacts {
		if x.ID == "" {
			t.Errorf("a contact without an id: %+v", x)
		}
	}
	x, err := c.CreateContact(ctx, key, crm.NewContact{Name: "Иван", Phone: client1})
	told(err)
	if err == nil && x.ID == "" {
		t.Error("a contact was made that has no id")
	}
	m, err := c.CreateTask(ctx, key, crm.NewTask{Title: "Перезвонить", Responsible: "11", Phone: client1, Due: now})
	told(err)
	if err == nil && m.ID == "" {
		t.Error("a task was made that has no id")
	}
	_, err = c.Employees(ctx)
	told(err)
	_, err = c.PersonalManager(ctx, client1)
	told(err)
	_, err = c.LogCall(ctx, key, crm.CallRecord{Call: bridge.Call{ID: "c", Direction: bridge.In, Outcome: bridge.Missed, Client: client1, StartedAt: bridge.At(now)}})
	if _, not := errors.AsType[*crm.NotKept](err); !not {
		told(err)
	}
}
