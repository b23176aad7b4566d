// Package aristream reads recorded streams of ARI events and carries those
// that were recorded from real Asterisks, so that tests, the demo and the
// simulated PBX all play the same calls.
//
// A stream is a text of lines, each a JSON object with "t" (milliseconds since
// the recording began) and one of "event" (an ARI frame, with "conn" when it
// came on another websocket than the first), "note" (something the recorder
// saw or did) or "rest" (a REST call of the recorder and its answer). Lines
// with other keys are kept as they are and mean nothing here.
package aristream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

//go:embed streams
var streams embed.FS

//go:embed expected.json
var expected []byte

// maxLine bounds one line of a stream; the longest recorded one has 120 KB.
const maxLine = 4 << 20

// Line is one line of a stream.
type Line struct {
	N     int             // number of the line in the text, from 1
	T     time.Duration   // since the recording began
	Conn  int             // which websocket, 0 = the first
	Event json.RawMessage // the ARI frame; nil if the line is none
	Note  string
	REST  *REST
}

// REST is a request the recorder made, and the answer.
type REST struct {
	Method string          `json:"method"`
	Path   string          `json:"path"` // with the query
	Send   json.RawMessage `json:"send,omitempty"`
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// Read reads a whole stream, plain or gzipped. An error names the line.
func Read(r io.Reader) ([]Line, error) {
	br := bufio.NewReader(r)
	if magic, _ := br.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("gzipped stream: %w", err)
		}
		defer z.Close()
		br = bufio.NewReader(z)
	}
	sc := bufio.NewScanner(br)
	sc.Buffer(make([]byte, 64<<10), maxLine)
	var lines []Line
	n := 0
	for sc.Scan() {
		n++
		text := bytes.TrimSpace(sc.Bytes())
		if len(text) == 0 {
			continue
		}
		l, err := parse(text)
		if err != nil {
			return lines, fmt.Errorf("line %d: %w", n, err)
		}
		l.N = n
		lines = append(lines, l)
	}
	if err := sc.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d MiB", maxLine>>20)
		}
		return lines, fmt.Errorf("line %d: %w", n+1, err)
	}
	return lines, nil
}

func parse(text []byte) (Line, error) {
	var w struct {
		T     *float64        `json:"t"`
		Conn  int             `json:"conn"`
		Event json.RawMessage `json:"event"`
		Note  string          `json:"note"`
		REST  *REST           `json:"rest"`
	}
	if err := json.Unmarshal(text, &w); err != nil {
		if s := new(json.SyntaxError); errors.As(err, &s) {
			return Line{}, fmt.Errorf("no JSON: %w (at byte %d)", err, s.Offset)
		}
		return Line{}, fmt.Errorf(`want {"t":ms,"event":{…}}: %w`, err)
	}
	if w.T == nil && w.Event != nil {
		return Line{}, errors.New(`"event" without "t" (milliseconds since the recording began)`)
	}
	l := Line{Conn: w.Conn, Note: w.Note, REST: w.REST}
	if w.T != nil {
		l.T = time.Duration(*w.T * float64(time.Millisecond))
	}
	if w.Event != nil {
		if w.Event[0] != '{' {
			return Line{}, errors.New(`"event" is not an object`)
		}
		l.Event = w.Event
	}
	return l, nil
}

// Names lists the recorded streams: the usual set-up by plain names
// ("in_answered"), the others by folder ("plain/in_answered": a PBX without
// channelvars; "asterisk16/…": an old one; "moscow/…": another time zone).
func Names() []string {
	var names []string
	err := fs.WalkDir(streams, "streams", func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(path, suffix); ok && err == nil {
			names = append(names, strings.TrimPrefix(name, "streams/"))
		}
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	slices.SortFunc(names, func(a, b string) int {
		if c := strings.Count(a, "/") - strings.Count(b, "/"); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return names
}

const suffix = ".jsonl.gz"

// Open opens a recorded stream as plain text.
func Open(name string) (io.ReadCloser, error) {
	f, err := streams.Open("streams/" + name + suffix)
	if err != nil {
		return nil, fmt.Errorf("no recorded stream %q", name)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("recorded stream %s: %w", name, err)
	}
	return z, nil
}

// Load reads a recorded stream.
func Load(name string) ([]Line, error) {
	r, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	lines, err := Read(r)
	if err != nil {
		return nil, fmt.Errorf("recorded stream %s: %w", name, err)
	}
	return lines, nil
}

// Expected returns the right records of the recorded streams by name, in order
// of start, written down by the one who drove the calls. They hold what was
// known then: no ids, no legs, and no end where it cannot be seen.
func Expected() map[string][]bridge.Call {
	var m map[string][]bridge.Call
	if err := json.Unmarshal(expected, &m); err != nil {
		panic(err) // the file is part of the program
	}
	return m
}
