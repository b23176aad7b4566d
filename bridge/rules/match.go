package rules

import (
	"slices"
	"strings"

	"callbridge/bridge"
)

// mismatch returns why a call does not fit a rule, "" if it does. Whether the
// client is known is not asked here: delivery finds out.
func (p *planner) mismatch(r bridge.CallRule) string {
	c := p.call
	switch {
	case r.Direction == "" && c.Direction == bridge.Internal:
		return because(ruleInternal) // decision 3: internal calls must be named
	case r.Direction != "" && r.Direction != c.Direction:
		return because(ruleDirection, string(r.Direction), string(c.Direction))
	case len(r.Outcome) > 0 && !slices.Contains(r.Outcome, c.Outcome):
		return because(ruleOutcome, join(r.Outcome), string(c.Outcome))
	case len(r.Reason) > 0 && !slices.Contains(r.Reason, c.Reason):
		return because(ruleReason, join(r.Reason), orNone(string(c.Reason)))
	case len(r.Lines) > 0 && !onLine(r.Lines, c.Line):
		line := c.Line
		if line == "" {
			line = unknownLine
		}
		return because(ruleLine, strings.Join(r.Lines, ", "), line)
	}
	return ""
}

// match says why a rule fits.
func (p *planner) match(known *bool) string {
	facts := []string{string(p.call.Direction), string(p.call.Outcome)}
	if p.call.Reason != "" {
		facts = append(facts, string(p.call.Reason))
	}
	s := strings.Join(facts, ", ")
	switch {
	case known == nil:
		return because(ruleFits, s)
	case *known:
		return because(ruleFitsKnown, s)
	}
	return because(ruleFitsUnknown, s)
}

func (p *planner) namesInternal() bool {
	is := func(r bridge.CallRule) bool { return r.Direction == bridge.Internal }
	c := p.in.Calls
	return slices.ContainsFunc(c.Communications, is) ||
		slices.ContainsFunc(c.Tasks, func(r bridge.TaskRule) bool { return is(r.CallRule) }) ||
		slices.ContainsFunc(c.Processes, func(r bridge.ProcessRule) bool { return is(r.CallRule) })
}

// onLine compares lines by their digits: settings hold E.164, a line that is
// no public number is as the PBX gave it.
func onLine(lines []string, line string) bool {
	line = strings.TrimPrefix(line, "+")
	if line == "" {
		return false // D-08: nothing matches nothing
	}
	return slices.ContainsFunc(lines, func(l string) bool { return strings.TrimPrefix(l, "+") == line })
}

func join[T ~string](list []T) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = string(v)
	}
	return strings.Join(s, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
