package cdr

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// CSVColumns are the columns of cdr_csv; the last five come with loguniqueid,
// loguserfield and newcdrcolumns.
var CSVColumns = []string{"accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata",
	"start", "answer", "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield", "peeraccount", "linkedid", "sequence"}

const (
	chunk = 64 << 10
	// slack is how much later than its call a record may be written (batch
	// mode of cdr.conf), and so how far before the gap reading goes on.
	slack = 10 * time.Minute
	// most bounds what is read of the log for one gap.
	most = 64 << 20
)

// ReadCSV returns the records that ended after from, oldest first, of a file
// as cdr_csv (no columns given) or cdr_custom (its columns in order) writes
// it. It reads from the end, so the age of the log costs nothing. skipped is
// the number of lines that are no records. After a rotation what is missing is
// looked for in the file with .1 at its end.
func ReadCSV(path string, columns []string, zone *time.Location, from bridge.Time) (records []Record, skipped int, err error) {
	if len(columns) == 0 {
		columns = CSVColumns
	}
	early := from.Add(-slack)
	for _, name := range []string{path, path + ".1"} {
		got, bad, whole, err := readBack(name, columns, zone, bridge.At(early))
		if errors.Is(err, fs.ErrNotExist) && name != path {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		records, skipped = append(records, got...), skipped+bad
		if !whole {
			break
		}
	}
	slices.Reverse(records)
	return slices.DeleteFunc(records, func(r Record) bool { return r.End.Add(time.Second).Before(from.Time) }), skipped, nil
}

// readBack reads lines from the end until one that ended before early; whole
// says that the file began later than that.
func readBack(path string, columns []string, zone *time.Location, early bridge.Time) (out []Record, bad int, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, false, fmt.Errorf("call log: %w", err)
	}
	defer func() { _ = f.Close() }()
	pos, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, false, fmt.Errorf("call log: %w", err)
	}
	var rest []byte // the beginning of the chunk after this one: the end of a line
	for last := pos; pos > 0 && last-pos < most; {
		n := min(pos, chunk)
		pos -= n
		buf := make([]byte, n, int(n)+len(rest))
		if _, err := f.ReadAt(buf, pos); err != nil {
			return nil, 0, false, fmt.Errorf("call log: %w", err)
		}
		buf = append(buf, rest...)
		rest = nil
		if pos > 0 {
			i := bytes.IndexByte(buf, '\n')
			if i < 0 {
				if len(buf) > chunk*16 {
					return nil, 0, false, fmt.Errorf("call log %s: a line without end", path)
				}
				rest = buf
				continue
			}
			rest, buf = bytes.Clone(buf[:i+1]), buf[i+1:]
		}
		lines := bytes.Split(buf, []byte("\n"))
		for _, line := range slices.Backward(lines) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			r, err := parseLine(line, columns, zone)
			if err != nil {
				bad++
				continue
			}
			if r.End.Before(early.Time) {
				return out, bad, false, nil
			}
			out = append(out, r)
		}
	}
	return out, bad, pos == 0, nil
}

func parseLine(line []byte, columns []string, zone *time.Location) (Record, error) {
	c := csv.NewReader(bytes.NewReader(line))
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	fields, err := c.Read()
	if err != nil {
		return Record{}, err
	}
	row := make(map[string]string, len(columns))
	for i, name := range columns {
		if i < len(fields) {
			row[strings.ToLower(name)] = fields[i]
		}
	}
	return Parse(row, zone)
}
