package bridge

import "log/slog"

// Number is a public telephone number in E.164 form with the plus sign
// ("+79161234567"), or "" when there is none: the caller withheld it, or what
// the PBX gave is no public number. Package bridge/phone makes Numbers from
// text; nothing else should convert to this type.
type Number string

// Digits returns the number without the plus sign, the form most CRMs keep.
func (n Number) Digits() string {
	if n != "" && n[0] == '+' {
		return string(n[1:])
	}
	return string(n)
}

// Masked returns the number with the middle hidden, for logs and for people
// without the right to see it: "+7916***4567". Short numbers are hidden whole.
func (n Number) Masked() string {
	if n == "" {
		return ""
	}
	if len(n) < 10 {
		return "***"
	}
	return string(n[:5]) + "***" + string(n[len(n)-4:])
}

// LogValue keeps client numbers out of the logs.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
