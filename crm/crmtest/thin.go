package crmtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"callbridge/crm"
	"callbridge/crm/sandbox"
)

// missingFields proves D-09: answers that lack any of their fields, or hold
// null, never crash the adapter. Errors are allowed, panics are not.
func (s Setup) missingFields(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := s.New()
				fake.SeedContact("Клиент", "+79161234567", "")
				contact := fake.SeedContact("Второй", "8 (916) 123-45-67")
				rt := &thinner{next: sandbox.Transport(fake), rnd: rand.New(rand.NewPCG(seed, 9)), share: 0.05 + 0.02*float64(seed)}
				b := s.openAt(t, fake, fakeURL, rt, s.Values(fake, fakeURL))
				_, _ = b.client.Check(t.Context())
				for _, look := range []bool{false, true} {
					for _, o := range b.operations() {
						_, _ = o.run(t.Context(), b, b.key(o, look), contact)
					}
				}
				if r, ok := b.client.(crm.Router); ok {
					_, _ = r.PersonalManager(t.Context(), number)
				}
				if d, ok := b.client.(crm.DealMaker); ok {
					_, _ = d.OpenDeals(t.Context(), contact)
				}
				if w, ok := b.client.(crm.FieldWriter); ok {
					_ = w.UpdateContact(t.Context(), contact, map[string]string{"comment": "x"})
				}
			})
		})
	}
}

// thinner removes fields from JSON answers, or makes them null, at random.
type thinner struct {
	next  http.RoundTripper
	mu    sync.Mutex // adapters may ask several things at once
	rnd   *rand.Rand
	share float64
}

func (t *thinner) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&v) == nil {
		t.mu.Lock()
		body, _ = json.Marshal(t.thin(v))
		t.mu.Unlock()
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	return res, nil
}

func (t *thinner) thin(v any) any {
	switch v := v.(type) {
	case map[string]any:
		// Sorted, so that a seed always thins alike.
		for _, k := range slices.Sorted(maps.Keys(v)) {
			e := v[k]
			switch p := t.rnd.Float64(); {
			case p < t.share*2/3:
				delete(v, k)
			case p < t.share:
				v[k] = nil
			default:
				v[k] = t.thin(e)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = t.thin(v[i])
		}
		return v
	}
	return v
}
