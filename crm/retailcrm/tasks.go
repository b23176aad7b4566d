package retailcrm

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// task is a task as the list shows it; when written, the performer has
// another name.
type task struct {
	ID         crm.Text  `json:"id"`
	Text       crm.Text  `json:"text"`
	Commentary *crm.Text `json:"commentary"`
	Datetime   crm.Text  `json:"datetime"`
	Phone      crm.Text  `json:"phone"`
	Customer   *struct {
		ID crm.Text `json:"id"`
	} `json:"customer"`
}

// CreateTask makes a task. Tasks have no external id, so the key is the last
// line of the commentary, and a repeat looks for it there.
func (c *client) CreateTask(ctx context.Context, key crm.Key, t crm.NewTask) (crm.Made, error) {
	const op = "create task"
	performer := userID(t.Responsible)
	if performer == 0 {
		return crm.Made{}, invalid(op, "a task needs an employee of the CRM")
	}
	doc := map[string]any{"text": t.Title, "performerId": performer, "commentary": strings.TrimSpace(t.Text + "\n\n" + key.ID)}
	if !t.Due.IsZero() {
		doc["datetime"] = t.Due.In(c.env.Zone).Format("2006-01-02 15:04") // no seconds here
	}
	if id, err := strconv.ParseInt(string(t.Contact), 10, 64); err == nil {
		doc["customer"] = map[string]any{"id": id}
	} else if t.Phone != "" {
		doc["phone"] = c.number(t.Phone)
		if s := c.site(); s != "" {
			doc["phoneSite"] = s
		}
	}
	if key.Look {
		if id, err := c.findTask(ctx, key, t, doc); err != nil || id != "" {
			return crm.Made{ID: id, URL: c.taskURL(id), Found: id != ""}, err
		}
	}
	var ans struct {
		ID crm.Text `json:"id"`
	}
	if err := c.post(ctx, op, "/api/v5/tasks/create", "task", doc, nil, &ans); err != nil {
		return crm.Made{}, c.confirmGone(ctx, err, t.Contact)
	}
	if ans.ID == "" {
		return crm.Made{}, lost(op, true, "id")
	}
	return crm.Made{ID: crm.ObjectID(ans.ID), URL: c.taskURL(crm.ObjectID(ans.ID))}, nil
}

// findTask looks for a task that carries the key. Where the list does not
// show commentaries, the same text for the same client at the same time is
// taken for it.
func (c *client) findTask(ctx context.Context, key crm.Key, t crm.NewTask, doc map[string]any) (crm.ObjectID, error) {
	// No task of ours is older than its call; a day more for the zones.
	since := c.env.Now().Add(-72 * time.Hour)
	if t.Record != nil && !t.Record.Call.StartedAt.IsZero() {
		since = t.Record.Call.StartedAt.Time
	}
	q := url.Values{ // not by performer: the responsible may have changed since that attempt
		"filter[createdAtFrom]": {since.In(c.env.Zone).AddDate(0, 0, -1).Format(time.DateOnly)},
	}
	rows, err := list[task](ctx, c, "look for task", "/api/v5/tasks", "tasks", q)
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.ID == "" {
			continue
		}
		if r.Commentary != nil {
			if strings.HasSuffix(strings.TrimSpace(string(*r.Commentary)), key.ID) {
				return crm.ObjectID(r.ID), nil
			}
			continue
		}
		client := doc["phone"] != nil && string(r.Phone) == doc["phone"]
		if r.Customer != nil && t.Contact != "" {
			client = string(r.Customer.ID) == string(t.Contact)
		}
		if due, _ := doc["datetime"].(string); client && string(r.Text) == t.Title && strings.HasPrefix(string(r.Datetime), due) {
			return crm.ObjectID(r.ID), nil
		}
	}
	return "", nil
}

// isGone says that the CRM does not have what was asked for.
func isGone(err error) bool { return err != nil && fault.KindOf(err) == fault.Gone }
