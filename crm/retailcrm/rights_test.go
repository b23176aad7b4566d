package retailcrm

import (
	"strings"
	"testing"

	"callbridge/crm/retailcrm/retailcrmtest"
)

// rightsOfR5 are the methods the API key must have.
var rightsOfR5 = []string{"/api/users/{id}", "/api/users", "/api/users/{id}/status", "/api/user-groups", "/api/telephony/manager",
	"/api/customers", "/api/customers/{externalId}", "/api/customers/create", "/api/customers/{externalId}/edit", "/api/orders",
	"/api/orders/create", "/api/tasks", "/api/tasks/create", "/api/reference/status-groups", "/api/integration-modules/{code}",
	"/api/integration-modules/{code}/edit"}

// TestR5CheckNamesEachMissingMethod takes every right away, one after the other.
func TestR5CheckNamesEachMissingMethod(t *testing.T) {
	for _, path := range rightsOfR5 {
		test(t, retailcrmtest.Options{Unlimited: true}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
			f.Restrict(path)
			rep, err := c.Check(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			var bad []string
			for _, l := range rep.Lines {
				if !l.OK {
					bad = append(bad, l.Help)
				}
			}
			if len(bad) == 0 || !strings.Contains(strings.Join(bad, "\n"), path+" ") {
				t.Errorf("without %s the check says %q", path, bad)
			}
		})
	}
}
