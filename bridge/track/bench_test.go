package track_test

import (
	"fmt"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// traffic is n calls of the usual kinds one after the other in their own time,
// each with channels of its own.
func traffic(b testing.TB, n int, stored bool) []bridge.Event {
	kinds := [][]bridge.Event{}
	for _, name := range []string{"in_answered", "out_answered", "in_missed_caller_hangs_up", "queue_answered", "group_local", "xfer_attended"} {
		kinds = append(kinds, events(b, name, stored))
	}
	base := bridge.AtMilli(1795323683000)
	var list []bridge.Event
	for i := range n {
		shift := base.Add(time.Duration(i) * 20 * time.Millisecond).Sub(kinds[i%len(kinds)][0].At.Time)
		again := fmt.Sprintf("n%d-", i)
		channel := func(c *bridge.Channel) *bridge.Channel {
			if c == nil {
				return nil
			}
			v := *c
			v.ID, v.Since = again+v.ID, bridge.At(v.Since.Add(shift))
			if v.Group != "" {
				v.Group = again + v.Group
			}
			if v.Pair != "" {
				v.Pair = again + v.Pair
			}
			return &v
		}
		for _, e := range kinds[i%len(kinds)] {
			e.ID, e.At = again+e.ID, bridge.At(e.At.Add(shift))
			e.Leg, e.Peer = channel(e.Leg), channel(e.Peer)
			more, members := e.More, e.Members
			e.More, e.Members = nil, nil
			for j := range more {
				e.More = append(e.More, *channel(&more[j]))
			}
			for _, m := range members {
				e.Members = append(e.Members, again+m)
			}
			if e.Room != "" {
				e.Room = again + e.Room
			}
			list = append(list, e)
		}
	}
	return list
}

// BenchmarkAdd measures events per second; the target is 50,000 a core.
func BenchmarkAdd(b *testing.B) {
	list := traffic(b, 600, true)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		tr := track.New(opts)
		for i := range list {
			tr.Add(list[i])
		}
		n += len(list)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
