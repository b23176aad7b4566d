package ari

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// peek finds the members "type" and "variable" of a frame without decoding the
// rest: two thirds of all frames are then known to be of no use. It follows
// the nesting and the strings only; what it lets pass is decoded in full later
// or not used at all.
func peek(raw []byte) (typ, variable string, err error) {
	b := bytes.TrimSpace(raw)
	if len(b) == 0 {
		return "", "", errors.New("empty")
	}
	if b[0] != '{' {
		return "", "", fmt.Errorf("not a JSON object: begins with %q", b[0])
	}
	depth, key := 0, []byte(nil)
	var value bool // what follows is a value of the outermost object
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '{', '[':
			depth++
			value = false
		case '}', ']':
			depth--
			if depth == 0 {
				if i+1 != len(b) {
					return "", "", fmt.Errorf("text after the end of the object at byte %d", i+1)
				}
				if typ == "" {
					return "", "", errors.New(`no "type"`)
				}
				return typ, variable, nil
			}
		case ',':
			value = false
		case ':':
			value = depth == 1
		case '"':
			end := closing(b, i+1)
			if end < 0 {
				return "", "", fmt.Errorf("cut off inside a string that begins at byte %d", i)
			}
			if depth == 1 {
				if !value {
					key = b[i+1 : end]
				} else if name := string(key); name == "type" || name == "variable" {
					var s string
					if err := json.Unmarshal(b[i:end+1], &s); err != nil {
						return "", "", fmt.Errorf("%q: %w", name, err)
					}
					if name == "type" {
						typ = s
					} else {
						variable = s
					}
				}
			}
			i = end
		}
	}
	return "", "", fmt.Errorf("cut off after %d bytes", len(b))
}

// closing returns where the string that begins at i ends.
func closing(b []byte, i int) int {
	for {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return -1
		}
		j += i
		n := 0
		for k := j - 1; k >= i && b[k] == '\\'; k-- {
			n++
		}
		if n%2 == 0 {
			return j
		}
		i = j + 1
	}
}
