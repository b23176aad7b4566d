package aristream_test

import (
	"bytes"
	"compress/gzip"
	"testing"

	"callbridge/pbx/ari/aristream"
)

// FuzzRead: any text gives lines or an error that names one.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"t":1.5,"event":{"type":"StasisStart"}}` + "\n" + `{"note":"dropped"}` + "\n\n" + `{"t":2,"rest":{"method":"GET","path":"/channels","status":200,"body":[]}}`))
	f.Add([]byte(`{"event":[]}`))
	f.Add([]byte(`{"t":1e308,"event":{}}`))
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(`{"t":1,"event":{}}`)) // memory takes everything
	_ = w.Close()
	f.Add(z.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := aristream.Read(bytes.NewReader(data))
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		last := 0
		for _, l := range lines {
			if l.N <= last {
				t.Errorf("line %d after line %d", l.N, last)
			}
			last = l.N
			if l.Event != nil && l.Event[0] != '{' {
				t.Errorf("line %d: the event is no object", l.N)
			}
		}
	})
}
