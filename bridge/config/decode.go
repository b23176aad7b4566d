package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"callbridge/bridge/setting"

	"go.yaml.in/yaml/v3"
)

// decoder fills structs from YAML and notes every fault with the path and the
// line of the value, instead of stopping at the first.
type decoder struct {
	getenv   func(string) string // nil: variables are refused
	dir      string              // where *_file begins
	files    bool                // *_file is read
	problems []setting.Problem
	syntax   *setting.Problem // the file is no YAML at all
	visited  int
}

// maxNodes bounds what aliases can grow to.
const maxNodes = 200_000

func (d *decoder) fault(path string, n *yaml.Node, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n != nil && n.Line > 0 {
		text += fmt.Sprintf(" (line %d)", n.Line)
	}
	d.problems = append(d.problems, setting.Problem{Path: path, Text: text})
}

// document decodes a file that holds one mapping; name is the file's.
func (d *decoder) document(data []byte, name string, out any) {
	broken := func(text string) {
		d.syntax = &setting.Problem{Path: name, Text: strings.TrimPrefix(text, "yaml: ")}
	}
	if len(data) > maxFile {
		broken(fmt.Sprintf("has %d bytes, at most %d are allowed", len(data), maxFile))
		return
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return // an empty file
	case err != nil:
		broken(err.Error())
		return
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		broken("holds more than one document (a second line ---)")
		return
	}
	if len(doc.Content) != 1 {
		return
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return
	}
	if root.Kind != yaml.MappingNode {
		broken("does not begin with a key such as listen:")
		return
	}
	d.into("", root, reflect.ValueOf(out).Elem())
}

var (
	secretType = reflect.TypeFor[Secret]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) into(path string, n *yaml.Node, v reflect.Value) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.visited++; d.visited > maxNodes {
		if d.visited == maxNodes+1 {
			d.fault(path, n, "the file grows too large by its aliases")
		}
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value != `""` {
		return
	}
	switch {
	case v.Type() == secretType:
		if s, ok := d.scalar(path, n, "a text"); ok {
			v.Set(reflect.ValueOf(Secret(s)))
		}
		return
	case v.CanAddr() && v.Addr().Type().Implements(textType):
		if s, ok := d.scalar(path, n, "a text"); ok {
			if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
				d.fault(path, n, "%q cannot be read: %s", s, strings.TrimPrefix(err.Error(), "time: "))
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.into(path, n, p.Elem())
		v.Set(p)
	case reflect.String:
		if s, ok := d.scalar(path, n, "a text"); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		if s, ok := d.scalar(path, n, "true or false"); ok {
			switch strings.ToLower(s) {
			case "true", "yes", "on":
				v.SetBool(true)
			case "false", "no", "off":
				v.SetBool(false)
			default:
				d.fault(path, n, "%q is not true or false", s)
			}
		}
	case reflect.Int:
		if s, ok := d.scalar(path, n, "a number"); ok {
			i, err := strconv.Atoi(s)
			if err != nil {
				d.fault(path, n, "%q is no whole number", s)
				return
			}
			v.SetInt(int64(i))
		}
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fault(path, n, "is %s, want a list: [a, b] or lines that begin with a dash", shape(n))
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, c := range n.Content {
			d.into(fmt.Sprintf("%s[%d]", path, i), c, list.Index(i))
		}
		v.Set(list)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			d.fault(path, n, "is %s, want keys with values", shape(n))
			return
		}
		m := reflect.MakeMap(v.Type())
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			at := path + "." + key.Value
			if m.MapIndex(reflect.ValueOf(key.Value)).IsValid() {
				d.fault(at, key, "is given twice")
				continue
			}
			item := reflect.New(v.Type().Elem()).Elem()
			d.into(at, n.Content[i+1], item)
			m.SetMapIndex(reflect.ValueOf(key.Value), item)
		}
		v.Set(m)
	case reflect.Struct:
		d.structure(path, n, v)
	default:
		panic("config: no way to read a " + v.Type().String()) // a fault of ours, seen by every test
	}
}

func (d *decoder) structure(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fault(path, n, "is %s, want keys with values", shape(n))
		return
	}
	fields := keys(v)
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := key.Value
		if path != "" {
			at = path + "." + at
		}
		base, isFile := strings.CutSuffix(key.Value, "_file")
		f, known := find(fields, key.Value)
		if !known && isFile && d.files {
			if f, known = find(fields, base); known && f.value.Type() != secretType {
				known = false
			}
		} else {
			base, isFile = key.Value, false
		}
		switch {
		case !known:
			names := make([]string, 0, len(fields))
			for _, f := range fields {
				names = append(names, f.name)
				if d.files && f.value.Type() == secretType {
					names = append(names, f.name+"_file")
				}
			}
			help := meant(key.Value, names)
			if help == "" {
				help = "; known here: " + strings.Join(names, ", ")
			}
			d.fault(at, key, "is not known%s", help)
		case given[base]:
			d.fault(at, key, "is given twice")
		case isFile:
			given[base] = true
			d.file(at, value, f.value)
		default:
			given[base] = true
			d.into(at, value, f.value)
		}
	}
}

// file reads a secret from the file a *_file key names.
func (d *decoder) file(path string, n *yaml.Node, v reflect.Value) {
	name, ok := d.scalar(path, n, "the name of a file")
	if !ok {
		return
	}
	text, err := readFile(from(d.dir, name))
	if err != nil {
		d.fault(path, n, "cannot be read: %v", err)
		return
	}
	s := strings.TrimSpace(string(text))
	if s == "" || strings.ContainsAny(s, "\n\r\x00") {
		d.fault(path, n, "%s must hold one line with the secret", name)
		return
	}
	v.Set(reflect.ValueOf(Secret(s)))
}

// scalar returns the text of a plain value with its variables put in.
func (d *decoder) scalar(path string, n *yaml.Node, want string) (string, bool) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		d.fault(path, n, "is %s, want %s", shape(n), want)
		return "", false
	}
	if n.Tag == "!!binary" {
		d.fault(path, n, "is binary, want %s", want)
		return "", false
	}
	return d.expand(path, n)
}

// expand puts variables in: ${NAME}; $${ stands for a plain ${.
func (d *decoder) expand(path string, n *yaml.Node) (string, bool) {
	s := n.Value
	if !strings.Contains(s, "${") {
		return s, true
	}
	var b strings.Builder
	ok := true
	for s != "" {
		switch {
		case strings.HasPrefix(s, "$${"):
			b.WriteString("${")
			s = s[3:]
		case strings.HasPrefix(s, "${"):
			name, rest, closed := strings.Cut(s[2:], "}")
			if !closed || !variable(name) {
				d.fault(path, n, "has a ${ that names no variable; write $${ for the signs themselves")
				return "", false
			}
			switch {
			case d.getenv == nil:
				d.fault(path, n, "names the variable %s, but variables are read from files only", name)
				ok = false
			case d.getenv(name) == "":
				d.fault(path, n, "names the environment variable %s, which is not set", name)
				ok = false
			default:
				b.WriteString(d.getenv(name))
			}
			s = rest
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String(), ok
}

func variable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// field is one key of a struct.
type field struct {
	name  string
	value reflect.Value
	tag   reflect.StructTag
}

// keys lists the keys of a struct, those of inlined ones with it.
func keys(v reflect.Value) []field {
	var out []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if slices.Contains(strings.Split(opts, ","), "inline") {
			out = append(out, keys(v.Field(i))...)
		} else if name != "" && name != "-" {
			out = append(out, field{name, v.Field(i), f.Tag})
		}
	}
	return out
}

func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

// foreign lists the keys given to a PBX of another kind.
func (p *PBX) foreign() []string {
	var out []string
	for _, f := range keys(reflect.ValueOf(p).Elem()) {
		if kind := f.tag.Get("kind"); kind != "" && kind != p.Kind && !f.value.IsZero() {
			out = append(out, f.name)
		}
	}
	return out
}

// shape names what a value is, for messages.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a set of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}
