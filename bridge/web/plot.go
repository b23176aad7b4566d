package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// plot is one picture of the overview with its numbers. Series differ by
// pattern and not only by colour, every part has its number as a title, and the
// same numbers stand in a table for those who do not see the picture.
type plot struct {
	ID     string
	Title  string
	Big    string // what is to be seen at a glance
	Note   string
	SVG    template.HTML
	Legend []legend
	Head   []string
	Rows   [][]string
	Empty  bool
}

type legend struct {
	Class string // good, bad, part, off: also the name of the pattern
	Name  string
	Value string
}

// series is one kind of thing that is counted, per slot.
type series struct {
	class, name string
	values      []int64
}

const plotWide, plotHigh = 440, 178

// fillOf is the paint of a class: plain colour by the sheet, or a pattern.
func fillOf(class string) string {
	switch class {
	case "bad", "part", "off":
		return ` fill="url(#fill-` + class + `)"`
	}
	return ""
}

// bars draws stacked columns. labels are written under every step-th column.
func bars(about string, labels []string, step int, list ...series) template.HTML {
	const left, right, top, bottom = 30, 6, 8, 24
	n := len(labels)
	var most int64
	for i := range n {
		var sum int64
		for _, s := range list {
			sum += s.values[i]
		}
		most = max(most, sum)
	}
	tick := tickOf(most)
	ceiling := max(tick, (most+tick-1)/tick*tick)
	high := float64(plotHigh - top - bottom)
	wide := float64(plotWide-left-right) / float64(max(1, n))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWide, plotHigh, template.HTMLEscapeString(about))
	for v := int64(0); v <= ceiling; v += tick {
		y := float64(top) + high*(1-float64(v)/float64(ceiling))
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="tick" x="%d" y="%.1f" text-anchor="end">%d</text>`,
			left, plotWide-right, y, y, left-5, y+4, v)
	}
	for i := range n {
		x := float64(left) + wide*float64(i)
		y := float64(top) + high
		gap := math.Min(4, wide*.22)
		for _, s := range list {
			if s.values[i] == 0 {
				continue
			}
			h := high * float64(s.values[i]) / float64(ceiling)
			y -= h
			fmt.Fprintf(&b, `<rect class="bar %s"%s x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s, %s: %d</title></rect>`,
				s.class, fillOf(s.class), x+gap/2, y, wide-gap, h, template.HTMLEscapeString(labels[i]), template.HTMLEscapeString(s.name), s.values[i])
		}
		if i%step == 0 {
			fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>`, x+wide/2, plotHigh-7, template.HTMLEscapeString(labels[i]))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // every text is escaped above
}

// tickOf is a round step that gives at most four lines.
func tickOf(most int64) int64 {
	for base := int64(1); ; base *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if base*m*4 >= most {
				return base * m
			}
		}
	}
}

// strip draws one bar of parts that make up a whole.
func strip(about string, list ...series) template.HTML {
	var sum int64
	for _, s := range list {
		sum += s.values[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot strip" viewBox="0 0 %d 22" role="img" aria-label="%s"><rect class="none" x="0" y="1" width="%d" height="20"/>`, plotWide, template.HTMLEscapeString(about), plotWide)
	x := 0.0
	for _, s := range list {
		if s.values[0] == 0 {
			continue
		}
		w := float64(plotWide) * float64(s.values[0]) / float64(sum)
		fmt.Fprintf(&b, `<rect class="bar %s"%s x="%.1f" y="1" width="%.1f" height="20"><title>%s: %d</title></rect>`, s.class, fillOf(s.class), x, w,
			template.HTMLEscapeString(s.name), s.values[0])
		x += w
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // every text is escaped above
}

func total(v []int64) (n int64) {
	for _, x := range v {
		n += x
	}
	return n
}

// table writes the numbers of a plot for its table.
func (p *plot) table(first string, labels []string, list ...series) {
	p.Head = []string{first}
	for _, s := range list {
		p.Head = append(p.Head, s.name)
	}
	for i, l := range labels {
		row, any := []string{l}, false
		for _, s := range list {
			row = append(row, fmt.Sprint(s.values[i]))
			any = any || s.values[i] != 0
		}
		if any {
			p.Rows = append(p.Rows, row)
		}
	}
}
