package card

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"callbridge/bridge"
)

// TestF10EachViewEqualsTheServers plays random calls against tabs that come,
// go and hang, and compares at every quiet moment what each tab shows with what
// the hub says its owner should see.
func TestF10EachViewEqualsTheServers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// The choices are drawn first: rapid and synctest do not share a goroutine.
		script := rapid.SliceOfN(rapid.IntRange(0, 1<<12), 20, 200).Draw(rt, "script")
		fault := ""
		draw := func(n int) int {
			if len(script) == 0 {
				return 0
			}
			v := script[0]
			script = script[1:]
			return v % n
		}
		synctest.Test(t, func(t *testing.T) {
			h := New(Options{Queue: 16})
			defer h.Close()
			exts := []string{"101", "102", "103"}
			calls := map[string]*bridge.Call{}
			var tabs []*tab
			owner := map[*tab]string{}
			pick := func() string { return exts[draw(len(exts))] }
			some := func() *bridge.Call {
				if len(calls) == 0 {
					return nil
				}
				var ids []string
				for n := range 200 {
					if id := fmt.Sprint("c", n); calls[id] != nil {
						ids = append(ids, id)
					}
				}
				return calls[ids[draw(len(ids))]]
			}
			made := 0
			for len(script) > 0 && fault == "" {
				switch draw(10) {
				case 0:
					ext := pick()
					b := connect(t, h, Who{"u" + ext, ext})
					tabs, owner[b] = append(tabs, b), ext
				case 1:
					if len(tabs) > 0 {
						n := draw(len(tabs))
						_ = tabs[n].conn.Close()
						tabs = append(tabs[:n:n], tabs[n+1:]...)
					}
				case 2, 3:
					made++
					c := call(fmt.Sprint("c", made), rings(pick()))
					c.Client = bridge.Number([]string{"+79160000001", "+79160000002", ""}[draw(3)])
					calls[c.ID] = c
					h.Apply(c, time.Now())
				case 4:
					if c := some(); c != nil {
						c.Legs = append(c.Legs, rings(pick()))
						h.Apply(c, time.Now())
					}
				case 5:
					if c := some(); c != nil {
						answers(c, c.Legs[draw(len(c.Legs))].Extension)
						h.Apply(c, time.Now())
					}
				case 6:
					if c := some(); c != nil {
						l := &c.Legs[draw(len(c.Legs))]
						l.EndAt, l.Result = bridge.At(time.Now()), bridge.LegNoAnswer
						h.Apply(c, time.Now())
					}
				case 7:
					if c := some(); c != nil {
						ends(c, []bridge.Outcome{bridge.Answered, bridge.Missed}[draw(2)])
						h.Apply(c, time.Now())
						delete(calls, c.ID)
					}
				case 8:
					if c := some(); c != nil {
						h.Enrich(c.ID, Info{LineName: fmt.Sprint("line ", made)})
					}
				case 9:
					time.Sleep(time.Duration(1+draw(200)) * time.Second)
				}
				synctest.Wait()
				for _, b := range tabs {
					want := map[string]State{}
					for _, c := range h.Cards(owner[b]) {
						want[c.ID] = c.State
						if k := b.card(c.ID); !same(&k.Card, &c) || (k.Info == nil) != (c.Info == nil) || k.Info != nil && k.Info.LineName != c.Info.LineName {
							fault = fmt.Sprintf("tab of %s shows %+v, should show %+v", owner[b], k.Card, c)
						}
					}
					if got := b.view(); !maps.Equal(got, want) {
						fault = fmt.Sprintf("tab of %s shows %v, should show %v", owner[b], got, want)
					}
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}
