package megaplan_test

import (
	"testing"

	"callbridge/crm/crmtest"
)

// TestRowsNameTestsThatExist keeps ROWS.md true.
func TestRowsNameTestsThatExist(t *testing.T) { crmtest.Rows(t, `M-[0-9.]+`, 40) }
