package crm

import "context"

// NumberSampler is a CRM that shows how it keeps numbers: for the check before
// an integration is switched on. Numbers written without a country are found
// by guessing only.
type NumberSampler interface {
	// SampleNumbers returns about n numbers as they stand in the CRM.
	SampleNumbers(ctx context.Context, n int) ([]string, error)
}
