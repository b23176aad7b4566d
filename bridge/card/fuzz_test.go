package card

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// FuzzWord: whatever a browser sends is a word we know, or nothing; it stops
// nobody and confirms no card that does not live.
func FuzzWord(f *testing.F) {
	f.Add([]byte(`{"type":"shown","id":"c1","ms":12,"visible":true}`), true)
	f.Add([]byte(`{"type":"shown","id":"c1","ms":-9223372036854775808}`), true)
	f.Add([]byte(`{"type":"shown","id":"invented","ms":1e30}`), true)
	f.Add([]byte(`[[[[[[[[`), false)
	f.Add([]byte("\x00\xff"), false)
	f.Fuzz(func(t *testing.T, said []byte, text bool) {
		if len(said) > readLimit {
			return // the connection ends: TestOversizedWordEndsOnlyItsConnection
		}
		synctest.Test(t, func(t *testing.T) {
			var got []Receipt
			h := New(Options{Receipt: func(r Receipt) { got = append(got, r) }})
			defer h.Close()
			h.Apply(call("c1", rings("101")), time.Time{})
			b := connect(t, h, Who{"ivan", "101"})
			synctest.Wait()
			kind := websocket.BinaryMessage
			if text {
				kind = websocket.TextMessage
			}
			if err := b.conn.WriteMessage(kind, said); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, r := range got {
				if r.CallID != "c1" || r.Took < 0 || r.Took > time.Hour || r.Extension != "101" {
					t.Errorf("receipt %+v", r)
				}
			}
			if h.Connected() != 1 {
				t.Error("the browser was thrown out")
			}
		})
	})
}
