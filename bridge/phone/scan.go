package phone

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"callbridge/bridge"
)

// scan yields every number raw holds with its kind and its extension, in
// order, until yield returns false. It yields at least once.
func scan(raw, country string, yield func(n bridge.Number, k Kind, ext string) bool) {
	if len(raw) > maxLen {
		yield("", Invalid, "")
		return
	}
	s := plain(raw)
	if open := strings.LastIndexByte(s, '<'); open >= 0 {
		inner, _, _ := strings.Cut(s[open+1:], ">")
		n, k, ext := one(inner, country)
		if k != Invalid {
			yield(n, k, ext)
			return
		}
		// "8 916 123-45-67" <sip:trunk@host>: the name is all there is.
		s = s[:open]
	}
	if scheme(s) != "" || strings.ContainsRune(s, '@') {
		n, k, ext := one(s, country)
		yield(n, k, ext)
		return
	}
	list(s, country, yield)
}

// one reads an address: what stands between < and >, or a URI.
func one(s, country string) (bridge.Number, Kind, string) {
	s = strings.TrimSpace(s)
	sch := scheme(s)
	if sch != "" {
		s = s[len(sch)+1:]
	}
	user, host, at := strings.Cut(s, "@")
	if at && strings.HasPrefix(strings.ToLower(host), "anonymous.invalid") {
		return "", Withheld, "" // RFC 3323: the caller asked for privacy
	}
	user, params, _ := strings.Cut(user, ";")
	if at && sch == "" && !phoneLike(user) && !withheld(user) {
		return "", Invalid, "" // an e-mail address
	}
	if at {
		user, _, _ = strings.Cut(user, ":") // a password
	} else if sch == "sip" || sch == "sips" {
		host, _, _ := strings.Cut(user, ":")
		if _, err := netip.ParseAddr(host); err == nil {
			return "", Invalid, "" // an address without a user
		}
	}
	if t, err := url.PathUnescape(user); err == nil {
		user = plain(t)
	}
	ext := ""
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(p, "=")
		switch {
		case strings.EqualFold(k, "ext"):
			ext = digitsOf(v)
		case strings.EqualFold(k, "phone-context") && strings.HasPrefix(v, "+") && !strings.HasPrefix(user, "+"):
			user = v + user // RFC 3966: the local part of a number
		}
	}
	var n bridge.Number
	kind := Invalid
	list(user, country, func(m bridge.Number, k Kind, x string) bool {
		n, kind = m, k
		if x != "" {
			ext = x
		}
		return k != Public
	})
	return n, kind, ext
}

// scheme returns the URI scheme s begins with, in lower case, "" if none of ours.
func scheme(s string) string {
	s = strings.TrimSpace(s)
	for _, sch := range [...]string{"sip", "sips", "tel", "callto"} {
		if len(s) > len(sch) && s[len(sch)] == ':' && strings.EqualFold(s[:len(sch)], sch) {
			return sch
		}
	}
	return ""
}

// list yields the numbers of plain text.
func list(s, country string, yield func(bridge.Number, Kind, string) bool) {
	s = strings.TrimSpace(s)
	if withheld(s) {
		yield("", Withheld, "")
		return
	}
	if _, err := netip.ParseAddr(s); err == nil && strings.Count(s, ".") == 3 {
		yield("", Invalid, "")
		return
	}
	if code, ok := feature(s); ok {
		if code == "" {
			yield("", Invalid, "")
		} else {
			yield("", Short, code)
		}
		return
	}
	if ext := extensionOnly(s); ext != "" {
		yield("", Short, ext)
		return
	}
	s = unhide(s)
	runs, words := split(s)
	done := false
	for i := 0; i < len(runs); i++ {
		r := runs[i]
		if r.slash && i > 0 {
			// "030/1234567": a number cut by a slash, unless what stood
			// before was a number by itself ("8 495 123-45-67/68").
			continue
		}
		n, k := number(r.digits, r.plus, country)
		if i+1 < len(runs) && runs[i+1].slash && (k != Public || !full(n)) {
			if m, mk := number(r.digits+runs[i+1].digits, r.plus, country); mk == Public {
				n, k = m, mk
			}
		}
		ext := r.ext
		if k == Short {
			if words && r.ext == "" {
				n, k = "", Invalid // "кв. 12" is no extension
			} else if ext == "" {
				ext = r.digits
			}
		}
		done = true
		if !yield(n, k, ext) {
			return
		}
	}
	for i, r := range runs {
		if !r.slash || i == 0 {
			continue
		}
		if n, k := number(r.digits, r.plus, country); k == Public || k == Short && !words {
			done = true
			if !yield(n, k, r.digits) {
				return
			}
		}
	}
	if !done {
		yield("", Invalid, "")
	}
}

// full says that n is certain by itself, so that digits behind a slash are not its own.
func full(n bridge.Number) bool {
	_, f := read(string(n), "ZZ")
	return f == valid
}

// plain replaces digits, spaces, dashes and pluses of other scripts by those
// of ASCII and drops invisible signs.
func plain(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] < ' ' {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r < utf8.RuneSelf:
			return r
		case unicode.IsSpace(r):
			return ' '
		case r == '＋' || r == '﹢' || r == '⁺':
			return '+'
		case unicode.Is(unicode.Pd, r) || r == '−':
			return '-'
		case r == '＃' || r == '﹟':
			return '#'
		case r == '＊' || r == '∗':
			return '*'
		case r == '（':
			return '('
		case r == '）':
			return ')'
		case r == '／':
			return '/'
		case r == utf8.RuneError:
			return '?'
		case unicode.Is(unicode.Cf, r) || unicode.IsControl(r):
			return -1 // marks of direction, zero-width spaces
		case unicode.IsDigit(r):
			return '0' + digit(r)
		}
		return r
	}, s)
}

// digit returns the value of a decimal digit of any script. Each script's ten
// digits stand together; blocks that touch each other begin at multiples of
// ten from the first.
func digit(r rune) rune {
	z := r
	for unicode.IsDigit(z - 1) {
		z--
	}
	return (r - z) % 10
}

// run is one stretch of digits in a text.
type run struct {
	digits string
	plus   bool
	slash  bool   // a slash stands before it
	ext    string // extension named behind it
}

// split cuts a text into runs of digits and says whether other words stand
// around them.
func split(s string) (runs []run, words bool) {
	rs := []rune(s)
	var cur strings.Builder
	plus, slash := false, false
	end := func() {
		if cur.Len() > 0 && len(runs) < 16 {
			runs = append(runs, run{digits: cur.String(), plus: plus, slash: slash})
		}
		cur.Reset()
		plus, slash = false, false
	}
	for i := 0; i < len(rs); i++ {
		r := rs[i]
		switch {
		case r >= '0' && r <= '9':
			if cur.Len() < 64 {
				cur.WriteRune(r)
			}
		case r == '+':
			end()
			plus = true
		case strings.ContainsRune(" -.()~", r):
		case r == '/':
			end()
			slash = len(runs) > 0
		default:
			sl := slash
			end()
			if n := extWord(rs[i:]); n > 0 && len(runs) > 0 {
				ext, used := extDigits(rs[i+n:])
				if ext != "" {
					runs[len(runs)-1].ext = ext
					i += n + used - 1
					continue
				}
			}
			if unicode.IsLetter(r) {
				words = true
			} else if sl {
				slash = false
			}
		}
	}
	end()
	return runs, words
}

var extWords = [...]string{"extension", "ext", "добавочный", "доб", "внутренний", "внутр", "вн", "x", "х", "#", "*", "int"}

// extWord returns the length of the word for "extension" rs begins with, 0 if none.
func extWord(rs []rune) int {
	for _, w := range extWords {
		wr := []rune(w)
		if len(rs) < len(wr) {
			continue
		}
		same := true
		for i, r := range wr {
			if unicode.ToLower(rs[i]) != r {
				same = false
				break
			}
		}
		if same {
			return len(wr)
		}
	}
	return 0
}

// extDigits reads the one to eight digits of an extension behind its word.
func extDigits(rs []rune) (string, int) {
	i := 0
	for i < len(rs) && i < 6 && strings.ContainsRune(" .:№=-", rs[i]) {
		i++
	}
	j := i
	for j < len(rs) && rs[j] >= '0' && rs[j] <= '9' {
		j++
	}
	if j == i || j-i > 8 {
		return "", 0
	}
	return string(rs[i:j]), j
}

// extensionOnly reads "доб. 123" with no number before it.
func extensionOnly(s string) string {
	rs := []rune(s)
	if n := extWord(rs); n > 0 {
		ext, used := extDigits(rs[n:])
		if n+used == len(rs) {
			return ext
		}
	}
	return ""
}

// feature reads what begins with * or #: a code dialled into the PBX or the
// network. ok is false when a number follows that the code only modifies.
func feature(s string) (code string, ok bool) {
	if s == "" || s[0] != '*' && s[0] != '#' {
		return "", false
	}
	if unhide(s) != s {
		return "", false
	}
	d := digitsOf(s)
	if len(d) >= 1 && len(d) <= 6 && strings.Trim(s, "0123456789*#") == "" {
		return d, true
	}
	return "", true
}

// unhide drops a code before the number (#31#+7916…, *67 8916…) and the
// signs that end dialling.
func unhide(s string) string {
	s = strings.TrimRight(s, "#* ")
	if s == "" || s[0] != '*' && s[0] != '#' {
		return s
	}
	t := strings.TrimLeft(s, "*#")
	i := 0
	for i < len(t) && i < 3 && t[i] >= '0' && t[i] <= '9' {
		i++
	}
	if i < 2 {
		return s
	}
	for ; i >= 2; i-- {
		rest := strings.TrimLeft(t[i:], "*# ")
		if marked := len(rest) < len(t[i:]); (marked || strings.HasPrefix(rest, "+")) && len(digitsOf(rest)) >= 7 {
			return rest
		}
	}
	return s
}

// phoneLike says that s consists of the signs of numbers only.
func phoneLike(s string) bool {
	return strings.Trim(s, "0123456789+-.()*#%/: ") == "" && strings.ContainsAny(s, "0123456789")
}

// Words of switches and people for a caller without a number. A text without
// any digit that holds one of them is withheld.
var withheldWords = []string{"anonym", "unknown", "restrict", "privat", "unavail", "withheld", "hidden", "blocked", "not available",
	"out of area", "no number", "no caller", "undefined", "asterisk", "аноним", "скрыт", "неизвест", "не определ", "неопредел", "нет номера", "приватн", "недоступ"}

// withheldExact are withheld only when nothing else stands there.
var withheldExact = []string{"", "null", "nil", "none", "n/a", "na", "-", "--", "---", "+", "?", "s", "p", "o", "u", "-1", "-2"}

func withheld(s string) bool {
	t := strings.ToLower(strings.Trim(s, " \"'"))
	if slices.Contains(withheldExact, t) {
		return true
	}
	if strings.ContainsAny(t, "0123456789") {
		return false
	}
	for _, w := range withheldWords {
		if strings.Contains(t, w) {
			return true
		}
	}
	return false
}
