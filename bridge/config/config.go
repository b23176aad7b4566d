// Package config reads callbridge.yaml (Load) and the settings an admin
// decides (ParseSettings). Both are strict: an unknown key, a wrong type or a
// value that cannot work is a fault with the path of the value, and all faults
// are told at once. Secrets may come from the environment (${NAME}) and, in
// callbridge.yaml, from a file beside it (password_file instead of password).
package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/setting"
)

// Config is callbridge.yaml: what belongs to this machine. The tags doc and
// sample make the commented sample that `callbridge configdoc` prints.
type Config struct {
	Listen         string   `yaml:"listen" doc:"Address of the pages, the API and the webhooks. Either put a proxy with TLS in front of it, or name a certificate below."`
	PublicURL      string   `yaml:"public_url" sample:"https://calls.example.ru" doc:"Under which address the outside reaches this server: for links in the CRM and for webhooks."`
	Database       Secret   `yaml:"database" doc:"sqlite:FILE, or postgres://user@host/callbridge for more than one node. A password in the address may come from the environment: postgres://callbridge:${DB_PASSWORD}@db/callbridge"`
	TimeZone       string   `yaml:"time_zone" doc:"Time zone of days and of times without one; PBXs and integrations may have their own."`
	Country        string   `yaml:"country" doc:"Country of numbers written without one (two letters)."`
	SecretKeyFile  string   `yaml:"secret_key_file" doc:"Key that encrypts the CRM credentials in the database. Made at the first start; keep a copy, without it they must be entered anew."`
	TLS            TLS      `yaml:"tls" doc:"Serve https ourselves. The files are read again when they change."`
	Proxies        []string `yaml:"trusted_proxies" sample:"[127.0.0.1, 10.0.0.0/8]" doc:"Proxies whose X-Forwarded-For tells who the visitor is. Nobody else's is believed."`
	FrameAncestors []string `yaml:"frame_ancestors" sample:"[https://mp000000.megaplan.ru]" doc:"Addresses of the CRMs in which the agents' page may stand in a frame. Needs https in public_url: browsers send no cookies into a foreign frame otherwise."`
	PBX            []PBX    `yaml:"pbx" doc:"The telephone systems we listen to."`
	Keep           Keep     `yaml:"keep" doc:"How many days data is kept; 0 means for ever."`
	Log            Log      `yaml:"log" doc:"Logs go to standard error and hold no personal data."`
	Metrics        Metrics  `yaml:"metrics" doc:"Prometheus reads /metrics."`
	Traces         Traces   `yaml:"traces" doc:"OpenTelemetry traces of each call through all stages, over OTLP/HTTP, without personal data. Off unless a collector is named here or by the OTEL_* variables; what stands here goes before them."`
}

// PBX is one telephone system.
type PBX struct {
	ID       string `yaml:"id" doc:"Your name for it: small letters, digits and dashes. Stays the same for ever, calls are filed under it."`
	Kind     string `yaml:"kind" doc:"asterisk: over ARI."`
	TimeZone string `yaml:"time_zone" sample:"Europe/Moscow" doc:"Time zone of its call records, if it differs from the one above."`
	Country  string `yaml:"country" sample:"RU" doc:"Country of the numbers it writes without one, if it differs from the one above."`

	URL              string            `yaml:"url" kind:"asterisk" doc:"Address of ARI, with /ari at the end."`
	Username         string            `yaml:"username" kind:"asterisk" doc:"User of ari.conf."`
	Password         Secret            `yaml:"password" kind:"asterisk" doc:"His password; or password_file."`
	App              string            `yaml:"app" kind:"asterisk" doc:"Name of our Stasis application; each Callbridge needs its own."`
	Trunks           []string          `yaml:"trunks" kind:"asterisk" doc:"Endpoints that are outside lines."`
	Phones           string            `yaml:"phones" kind:"asterisk" sample:"'^\\d{2,5}$'" doc:"Pattern of the endpoints that are employees' phones; empty: two to six digits."`
	Names            map[string]string `yaml:"names" kind:"asterisk" sample:"{phone-ivan: '101'}" doc:"Extension of phones whose endpoint is named otherwise."`
	Tech             string            `yaml:"tech" kind:"asterisk" sample:"PJSIP" doc:"Channel technology of the phones."`
	ClickContext     string            `yaml:"click_context" kind:"asterisk" sample:"click2call" doc:"Where click-to-call enters the dialplan."`
	OutboundCallerID string            `yaml:"outbound_caller_id" kind:"asterisk" sample:"'+74951234567'" doc:"Our number the client sees at a click-to-call for which the settings name none."`
	RingFor          bridge.Duration   `yaml:"ring_for" kind:"asterisk" sample:"25s" doc:"How long the employee's phone rings at a click-to-call."`
	RouteArgument    string            `yaml:"route_argument" kind:"asterisk" sample:"route" doc:"First argument of Stasis() that asks who takes the call."`
	RouteBudget      bridge.Duration   `yaml:"route_budget" kind:"asterisk" sample:"1500ms" doc:"After it a call that asked goes on by itself."`
	KeepVarsets      bool              `yaml:"keep_varsets" kind:"asterisk" doc:"For dialplans that tell things by variables only: doubles the traffic."`
	Recordings       Recordings        `yaml:"recordings" kind:"asterisk" doc:"Where the PBX puts recordings, if this machine can read it; else they are fetched over ARI."`
	CDR              CDR               `yaml:"cdr" kind:"asterisk" doc:"Call records for repairing gaps."`

	RouteSecret Secret `yaml:"route_secret" kind:"asterisk" sample:"${CALLBRIDGE_ROUTE_SECRET}" doc:"What the dialplan must show when it asks over HTTP, at /hooks/ID/route, who takes a call; or route_secret_file. Empty: such questions are refused."`
}

// Recordings says where sound files are.
type Recordings struct {
	Dir string `yaml:"dir" sample:"/var/spool/asterisk/recording" doc:"Folder."`
}

// CDR says where call records are: in a file, or in a table.
type CDR struct {
	CSV      string   `yaml:"csv" sample:"/var/log/asterisk/cdr-csv/Master.csv" doc:"File of cdr_csv or cdr_custom. For cdr_csv set loguniqueid=yes and newcdrcolumns=yes."`
	Columns  []string `yaml:"columns" sample:"[start, src, dst, channel, dstchannel, disposition, duration, billsec, uniqueid, linkedid]" doc:"For cdr_custom: the columns in its order, named as in CDR(name). Empty: those of cdr_csv."`
	Database Secret   `yaml:"database" sample:"sqlite:/var/log/asterisk/master.db" doc:"If there is no file: database of cdr_sqlite3_custom (sqlite:FILE), cdr_adaptive_odbc or cdr_pgsql (postgres://user@host/asteriskcdrdb)."`
	Table    string   `yaml:"table" sample:"cdr" doc:"Its table; empty: cdr."`
	TimeZone string   `yaml:"time_zone" sample:"UTC" doc:"Zone of the times in it, if it is not the PBX's (usegmtime=yes: UTC)."`
}

// TLS names the certificate.
type TLS struct {
	Cert string `yaml:"cert" sample:"/etc/callbridge/fullchain.pem" doc:"Certificate with its chain (PEM)."`
	Key  string `yaml:"key" sample:"/etc/callbridge/privkey.pem" doc:"Its key (PEM)."`
}

// Keep is the retention.
type Keep struct {
	EventDays   int `yaml:"event_days" doc:"Raw events of the PBXs. At least 14, or a later resend has nothing to go by."`
	AttemptDays int `yaml:"attempt_days" doc:"Requests to CRMs and their answers."`
	CallDays    int `yaml:"call_days" doc:"Calls and what was done for them."`
	CardDays    int `yaml:"card_days" doc:"Who had which card on the screen, and how fast."`
	ContactDays int `yaml:"contact_days" doc:"What the CRMs said of a number, since they were last asked: names, companies, responsibles."`
	MissedDays  int `yaml:"missed_days" doc:"Clients who waited to be called back, since somebody talked to them."`
	ClickDays   int `yaml:"click_days" doc:"Orders of click-to-call."`
	AuditDays   int `yaml:"audit_days" doc:"Who did what in the console. 0 in any of these: for ever."`
}

// Log says how to log.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error."`
	Format string `yaml:"format" doc:"text or json."`
}

// Metrics guards /metrics.
type Metrics struct {
	Token Secret `yaml:"token" sample:"${CALLBRIDGE_METRICS_TOKEN}" doc:"Bearer token Prometheus must show; or token_file. Empty: everybody who reaches the address may read."`
}

// Traces says where traces go.
type Traces struct {
	Endpoint string `yaml:"endpoint" sample:"http://127.0.0.1:4318" doc:"Address of the collector (OTLP/HTTP); /v1/traces is added. Empty: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."`
	Token    Secret `yaml:"token" sample:"${CALLBRIDGE_TRACES_TOKEN}" doc:"Bearer token for it; or token_file. Other headers: OTEL_EXPORTER_OTLP_HEADERS."`
	Percent  *int   `yaml:"percent" sample:"100" doc:"How many of a hundred calls are followed. Empty: OTEL_TRACES_SAMPLER, or all."`
}

// Kinds are the kinds of PBX there are.
func Kinds() []string { return []string{"asterisk"} }

// DefaultApp is the Stasis application when none is named.
const DefaultApp = "callbridge"

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{Listen: "127.0.0.1:8080", Database: Secret("sqlite:callbridge.db"), TimeZone: "Europe/Moscow", Country: "RU",
		SecretKeyFile: "callbridge.key", Keep: Keep{EventDays: 30, AttemptDays: 90, CallDays: 1095,
			CardDays: 365, ContactDays: 365, MissedDays: 365, ClickDays: 90, AuditDays: 1095}, Log: Log{Level: "info", Format: "text"}}
}

// maxFile bounds what is read.
const maxFile = 4 << 20

// Load reads a configuration file. Relative paths in it are relative to the
// file. Faults come back as Problems, all at once.
func Load(path string, getenv func(string) string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(data, path, getenv)
}

// Parse is Load for a file that is read already; path names it in messages
// and is where relative paths begin.
func Parse(data []byte, path string, getenv func(string) string) (*Config, error) {
	c := Default()
	d := &decoder{getenv: getenv, dir: filepath.Dir(path), files: true}
	d.document(data, filepath.Base(path), c)
	if d.syntax != nil {
		return nil, Problems{*d.syntax}
	}
	c.normalise(d.dir)
	// A value that could not be read is told once.
	faults := d.problems
	for _, p := range c.Validate() {
		if !slices.ContainsFunc(faults, func(q setting.Problem) bool { return sameValue(q.Path, p.Path) }) {
			faults = append(faults, p)
		}
	}
	if len(faults) > 0 {
		return nil, Problems(faults)
	}
	return c, nil
}

// sameValue says whether two paths mean one value: password and password_file do.
func sameValue(a, b string) bool {
	return strings.TrimSuffix(a, "_file") == strings.TrimSuffix(b, "_file")
}

func (c *Config) normalise(dir string) {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	c.Country = strings.ToUpper(c.Country)
	c.SecretKeyFile = from(dir, c.SecretKeyFile)
	c.TLS.Cert, c.TLS.Key = from(dir, c.TLS.Cert), from(dir, c.TLS.Key)
	if file, ok := strings.CutPrefix(c.Database.Reveal(), "sqlite:"); ok && file != "" {
		c.Database = Secret("sqlite:" + from(dir, file))
	}
	for i := range c.PBX {
		p := &c.PBX[i]
		p.Country = strings.ToUpper(p.Country)
		p.URL = strings.TrimRight(p.URL, "/")
		if p.Kind == "asterisk" && p.App == "" {
			p.App = DefaultApp
		}
		p.Recordings.Dir, p.CDR.CSV = from(dir, p.Recordings.Dir), from(dir, p.CDR.CSV)
		if file, ok := strings.CutPrefix(p.CDR.Database.Reveal(), "sqlite:"); ok && file != "" {
			p.CDR.Database = Secret("sqlite:" + from(dir, file))
		}
	}
}

// CountryOf returns the country of numbers a PBX writes without one.
func (c *Config) CountryOf(pbx string) string {
	for _, p := range c.PBX {
		if p.ID == pbx && p.Country != "" {
			return p.Country
		}
	}
	return c.Country
}

// ZoneOf returns the time zone of a PBX; Validate has seen that it exists.
func (c *Config) ZoneOf(pbx string) *time.Location {
	name := c.TimeZone
	for _, p := range c.PBX {
		if p.ID == pbx && p.TimeZone != "" {
			name = p.TimeZone
		}
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return z
}

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

const idHelp = "small letters, digits and dashes, such as office-1"

// Validate returns everything that cannot work, in the order of the file.
func (c *Config) Validate() []setting.Problem {
	v := &faults{}
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "" {
		v.add("listen", "%q is no address; write host:port as in 127.0.0.1:8080, or :8080 for all of this machine's", c.Listen)
	}
	if c.PublicURL != "" && !webAddress(c.PublicURL) {
		v.add("public_url", "%q is no full address such as https://calls.example.ru", c.PublicURL)
	}
	for i, f := range c.FrameAncestors {
		if u, err := url.Parse(f); err != nil || !webAddress(f) || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || strings.ContainsAny(f, " ;,'*") {
			v.add(fmt.Sprintf("frame_ancestors[%d]", i), "%q is no origin such as https://mp000000.megaplan.ru", f)
		}
	}
	switch db := c.Database.Reveal(); {
	case strings.HasPrefix(db, "sqlite:") && len(db) > len("sqlite:"):
	case strings.HasPrefix(db, "postgres://"), strings.HasPrefix(db, "postgresql://"):
		if u, err := url.Parse(db); err != nil || strings.Trim(u.Path, "/") == "" && !strings.Contains(u.RawQuery, "dbname=") {
			v.add("database", "is no address such as postgres://user@host/callbridge")
		}
	default:
		v.add("database", "must begin with sqlite: or postgres://, as in sqlite:callbridge.db")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		v.add("tls", "needs both cert and key")
	}
	for i, p := range c.Proxies {
		if _, err := Network(p); err != nil {
			v.add(fmt.Sprintf("trusted_proxies[%d]", i), "%q is no address or network such as 10.0.0.0/8", p)
		}
	}
	v.zone("time_zone", c.TimeZone, true)
	v.country("country", c.Country, true)
	if c.SecretKeyFile == "" {
		v.add("secret_key_file", "is missing; callbridge.key is a good name")
	}
	seen := map[string]int{}
	for i := range c.PBX {
		c.PBX[i].validate(v, fmt.Sprintf("pbx[%d]", i))
		if first, double := seen[c.PBX[i].ID]; double && c.PBX[i].ID != "" {
			v.add(fmt.Sprintf("pbx[%d].id", i), "%q is the id of pbx[%d] already", c.PBX[i].ID, first)
		} else {
			seen[c.PBX[i].ID] = i
		}
	}
	v.days("keep.event_days", c.Keep.EventDays)
	v.days("keep.attempt_days", c.Keep.AttemptDays)
	v.days("keep.call_days", c.Keep.CallDays)
	v.days("keep.card_days", c.Keep.CardDays)
	v.days("keep.contact_days", c.Keep.ContactDays)
	v.days("keep.missed_days", c.Keep.MissedDays)
	v.days("keep.click_days", c.Keep.ClickDays)
	v.days("keep.audit_days", c.Keep.AuditDays)
	if d := c.Keep.EventDays; d > 0 && d < 14 {
		v.add("keep.event_days", "%d is too short: calls can be resent for 14 days and need their events", d)
	}
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	if e := c.Traces.Endpoint; e != "" && !webAddress(e) {
		v.add("traces.endpoint", "%q is no full address such as http://127.0.0.1:4318", e)
	}
	if p := c.Traces.Percent; p != nil && (*p < 0 || *p > 100) {
		v.add("traces.percent", "%d is not between 0 and 100", *p)
	}
	return v.list
}

func (p *PBX) validate(v *faults, path string) {
	if !idForm.MatchString(p.ID) {
		v.add(path+".id", "%q is no id; use %s", p.ID, idHelp)
	}
	if !slices.Contains(Kinds(), p.Kind) {
		v.kind(path+".kind", p.Kind)
		return
	}
	v.zone(path+".time_zone", p.TimeZone, false)
	v.country(path+".country", p.Country, false)
	for _, key := range p.foreign() {
		v.add(path+"."+key, "has no meaning for kind %s", p.Kind)
	}
	switch p.Kind {
	case "asterisk":
		if !webAddress(p.URL) {
			v.add(path+".url", "%q is no full address such as http://127.0.0.1:8088/ari", p.URL)
		}
		if p.Username == "" {
			v.add(path+".username", "is missing: the user of ari.conf")
		}
		if p.Password == "" {
			v.add(path+".password", "is missing: the password of ari.conf, here or in password_file")
		}
		if _, err := regexp.Compile(p.Phones); err != nil {
			v.add(path+".phones", "is no pattern: %v", err)
		}
		for i, t := range p.Trunks {
			if strings.TrimSpace(t) == "" {
				v.add(fmt.Sprintf("%s.trunks[%d]", path, i), "is empty")
			}
		}
		v.zone(path+".cdr.time_zone", p.CDR.TimeZone, false)
		if db := p.CDR.Database.Reveal(); db != "" {
			if !strings.HasPrefix(db, "sqlite:") && !strings.HasPrefix(db, "postgres://") && !strings.HasPrefix(db, "postgresql://") {
				v.add(path+".cdr.database", "must begin with sqlite: or postgres://")
			}
		}
		v.span(path+".ring_for", p.RingFor, 10*time.Minute)
		v.span(path+".route_budget", p.RouteBudget, time.Minute)
		if p.OutboundCallerID != "" {
			if _, kind := phone.Parse(p.OutboundCallerID, "RU"); kind != phone.Public && kind != phone.Short {
				v.add(path+".outbound_caller_id", "%q is no number", p.OutboundCallerID)
			}
		}
		if s := p.RouteSecret.Reveal(); s != "" && len(s) < 16 {
			v.add(path+".route_secret", "needs at least 16 signs: everybody who knows it can ask whose client a number is")
		}
	}
}

// Network reads an address or a network of addresses.
func Network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// from makes a path relative to a folder.
func from(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() && !st.Mode().IsDir() {
		return os.ReadFile(path) // a pipe: `callbridge serve -c <(…)`
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are allowed", path, st.Size(), maxFile)
	}
	return os.ReadFile(path)
}
