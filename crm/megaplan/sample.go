package megaplan

import (
	"context"

	"callbridge/crm"
)

var _ crm.NumberSampler = (*client)(nil)

// SampleNumbers reads one page of clients.
func (c *client) SampleNumbers(ctx context.Context, n int) ([]string, error) {
	var rows many[contractor]
	_, err := c.do(ctx, request{op: "sample numbers", path: "/contractorHuman",
		query: object{"fields": []string{"contactInfo"}, "limit": min(max(n, 1), 100)}}, &rows)
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range rows {
		out = append(out, rows[i].phones()...)
	}
	return out, nil
}
