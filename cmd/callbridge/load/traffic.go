package load

import (
	"fmt"
	"math/rand/v2"
	"time"

	"callbridge/pbx/ari/arisim"
)

// traffic is calls at a rate: recorded ones of the mix, each from a client of
// its own, to phones in turn.
func (r *run) traffic(rate float64, calls int) arisim.LoadOptions {
	total := 0
	for _, m := range r.o.Mix {
		total += m.Weight
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	phones := max(r.o.Agents, 5)
	first := r.clients
	r.clients += calls
	client := func(i int) string { return fmt.Sprintf("79%09d", 160000000+first+i) }
	next := func(i int) arisim.LoadCall {
		n := rnd.IntN(total)
		sc := r.o.Mix[0].Scenario
		for _, m := range r.o.Mix {
			if n -= m.Weight; n < 0 {
				sc = m.Scenario
				break
			}
		}
		c := arisim.LoadCall{Scenario: sc, Client: client(i), Extensions: map[string]string{}, Speed: r.o.Speed, Mark: r.marks[sc]}
		first := rnd.IntN(phones)
		for j, ext := range []string{"101", "102", "103", "104", "105"} {
			c.Extensions[ext] = extension((first + j) % phones)
		}
		return c
	}
	o := arisim.LoadOptions{Rate: rate, Calls: calls, Next: next}
	if r.o.Agents > 0 {
		o.Marked = func(i int, at time.Time) { r.agents.marked(client(i), at) }
	}
	return o
}
