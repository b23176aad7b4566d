package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// encode makes the YAML of a value by its yaml tags. It is ours because
// go.yaml.in/yaml/v3 v3.0.6 writes texts that begin with a line break so that
// nothing can read them back.
func encode(v reflect.Value) (*yaml.Node, error) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return textNode(string(text)), err
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
		}
		return encode(v.Elem())
	case reflect.String:
		return textNode(v.String()), nil
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}, nil
	case reflect.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}, nil
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			item, err := encode(v.Index(i))
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		if k := v.Type().Elem().Kind(); k == reflect.String {
			n.Style = yaml.FlowStyle // [in, out]
		}
		return n, nil
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		names := make([]string, 0, v.Len())
		for _, k := range v.MapKeys() {
			names = append(names, k.String())
		}
		slices.Sort(names)
		for _, name := range names {
			item, err := encode(v.MapIndex(reflect.ValueOf(name)))
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, keyNode(name), item)
		}
		return n, nil
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range keys(v) {
			if strings.Contains(f.tag.Get("yaml"), ",omitempty") && empty(f.value) {
				continue
			}
			item, err := encode(f.value)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, keyNode(f.name), item)
		}
		return n, nil
	}
	return nil, fmt.Errorf("no way to write a %s", v.Type())
}

// empty says whether omitempty leaves a value out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// keyNode keeps a key as it is: only values know variables.
func keyNode(s string) *yaml.Node {
	n := textNode(s)
	n.Value = s
	return n
}

// textNode writes a text so that it reads back as it was: several plain lines
// as a block, anything odd in quotes. A ${ is escaped.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ReplaceAll(s, "${", "$${")}
	odd := strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
	switch lines := strings.Split(s, "\n"); {
	case odd:
		n.Style = yaml.DoubleQuotedStyle
	case len(lines) == 1:
	case slices.ContainsFunc(lines, func(l string) bool { return l == "" || l != strings.TrimSpace(l) }):
		n.Style = yaml.DoubleQuotedStyle
	default:
		n.Style = yaml.LiteralStyle
	}
	return n
}
