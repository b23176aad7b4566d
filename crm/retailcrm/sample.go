package retailcrm

import (
	"context"
	"net/url"
	"strconv"

	"callbridge/crm"
)

var _ crm.NumberSampler = (*client)(nil)

// SampleNumbers reads one page of customers.
func (c *client) SampleNumbers(ctx context.Context, n int) ([]string, error) {
	var ans struct {
		Customers []customer `json:"customers"`
	}
	size := 20
	if n > 20 {
		size = 100 // the sizes the CRM allows are 20, 50 and 100
	}
	if err := c.api.Do(ctx, crm.Request{Op: "sample numbers", Path: "/api/v5/customers", Query: url.Values{"limit": {strconv.Itoa(size)}}}, &ans); err != nil {
		return nil, err
	}
	var out []string
	for _, cu := range ans.Customers {
		for _, p := range cu.Phones {
			if p.Number != "" {
				out = append(out, string(p.Number))
			}
		}
	}
	return out, nil
}
