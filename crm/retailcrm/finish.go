package retailcrm

import (
	"context"
	"net/url"
	"strings"

	"callbridge/crm"
)

var _ crm.TaskCloser = (*client)(nil)

// CloseTask marks a task as done and adds why to its commentary, before our
// key, which stays the last line. One that somebody closed is left as it is.
// That an edit may name only what it changes is inferred from orders.
func (c *client) CloseTask(ctx context.Context, _ crm.Key, id crm.ObjectID, text string) (crm.Made, error) {
	made := crm.Made{ID: id, URL: c.taskURL(id)}
	path := "/api/v5/tasks/" + url.PathEscape(string(id))
	var ans struct {
		Task struct {
			Complete   crm.Text `json:"complete"`
			Commentary crm.Text `json:"commentary"`
			Site       crm.Text `json:"site"`
		} `json:"task"`
	}
	if err := c.api.Do(ctx, crm.Request{Op: "read task", Path: path}, &ans); err != nil {
		return made, err
	}
	if ans.Task.Complete.Bool() {
		made.Found = true
		return made, nil
	}
	note := strings.TrimSpace(string(ans.Task.Commentary))
	if i := strings.LastIndex(note, "callbridge:"); i >= 0 {
		note = strings.TrimSpace(note[:i]) + "\n\n" + text + "\n\n" + note[i:]
	} else {
		note += "\n\n" + text
	}
	err := c.post(ctx, "close task", path+"/edit", "task", map[string]any{"complete": true, "commentary": strings.TrimSpace(note)}, nil, nil)
	return made, err
}
