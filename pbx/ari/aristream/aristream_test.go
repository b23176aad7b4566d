package aristream

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRecordedStreamsRead(t *testing.T) {
	names := Names()
	if len(names) < 60 || !slices.Contains(names, "in_answered") || !slices.Contains(names, "moscow/in_answered") {
		t.Fatalf("streams: %v", names)
	}
	events := 0
	for _, n := range names {
		lines, err := Load(n)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range lines {
			if l.Event != nil {
				events++
			}
			if i > 0 && l.T < lines[i-1].T {
				t.Errorf("%s line %d goes back in time", n, l.N)
			}
		}
	}
	if events < 5000 {
		t.Errorf("%d events", events)
	}
	for n := range Expected() {
		if !slices.Contains(names, n) {
			t.Errorf("expected records of %s, which is no stream", n)
		}
	}
	if _, err := Load("nothing"); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("unknown stream: %v", err)
	}
}

func TestRead(t *testing.T) {
	const text = `{"t":0,"note":"websocket 0: open"}

{"t":12.5,"event":{"type":"Dial"},"conn":1}
{"t":13,"rest":{"method":"GET","path":"/channels","status":200,"body":[]}}
{"t":14,"weather":"rain"}
`
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(text))
	w.Close()
	for name, r := range map[string]*bytes.Reader{"plain": bytes.NewReader([]byte(text)), "gzipped": bytes.NewReader(z.Bytes())} {
		lines, err := Read(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(lines) != 4 || lines[0].Note == "" || lines[1].N != 3 || lines[1].Conn != 1 || lines[1].T != 12500*time.Microsecond ||
			string(lines[1].Event) != `{"type":"Dial"}` || lines[2].REST.Status != 200 || lines[3].Event != nil {
			t.Errorf("%s: %+v", name, lines)
		}
	}
}

func TestReadNamesTheLine(t *testing.T) {
	for in, want := range map[string]string{
		"{\"t\":0,\"note\":\"x\"}\n{\"t\":1,\"event\":{\"type\"": "line 2: no JSON",
		"\n\nhello":                                     "line 3: no JSON",
		`{"event":{"type":"Dial"}}`:                     `line 1: "event" without "t"`,
		`{"t":1,"event":[]}`:                            `line 1: "event" is not an object`,
		`{"t":"soon","event":{}}`:                       "line 1: want",
		`{"t":1,"note":` + strings.Repeat(" ", maxLine): "line 1: longer than 4 MiB",
		"\x1f\x8bnot gzip":                              "gzipped stream",
	} {
		if _, err := Read(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", in, err, want)
		}
	}
}
