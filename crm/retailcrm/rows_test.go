package retailcrm_test

import (
	"testing"

	"callbridge/crm/crmtest"
)

// TestRowsNameTestsThatExist keeps ROWS.md true.
func TestRowsNameTestsThatExist(t *testing.T) { crmtest.Rows(t, `[RFD]-[0-9]+|click`, 22) }
