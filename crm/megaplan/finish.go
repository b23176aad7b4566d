package megaplan

import (
	"context"
	"net/http"

	"callbridge/crm"
)

var _ crm.TaskCloser = (*client)(nil)

// CloseTask finishes a todo; the text becomes its comment (6.4). One that
// somebody finished before is left as it is.
func (c *client) CloseTask(ctx context.Context, _ crm.Key, id crm.ObjectID, text string) (crm.Made, error) {
	made := crm.Made{ID: id, URL: c.todoURL(string(id))}
	var is struct {
		Finished any `json:"timeFinished"`
	}
	if _, err := c.do(ctx, request{op: "read task", path: "/todo/" + pathID(string(id))}, &is); err != nil {
		return made, err
	}
	if is.Finished != nil {
		made.Found = true
		return made, nil
	}
	_, err := c.do(ctx, request{op: "finish task", method: http.MethodPost, path: "/todo/" + pathID(string(id)) + "/doAction",
		body: object{"contentType": "TodoFinishActionRequest", "resultText": text}}, nil)
	return made, err
}
