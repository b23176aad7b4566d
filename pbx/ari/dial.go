package ari

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"callbridge/bridge/fault"
	"callbridge/pbx"
)

// ClickPrefix begins the channel ids of calls made by Originate.
const ClickPrefix = "cb-"

// clickMemory is how long a request id is remembered after its call: a second
// click that arrives late must not call again (D-19).
const clickMemory = 10 * time.Minute

var (
	dialable = regexp.MustCompile(`^\+?[0-9*#]{1,32}$`)
	plainID  = regexp.MustCompile(`^[0-9A-Za-z_-]{1,60}$`)
	callerID = regexp.MustCompile(`^\+?[0-9]{1,20}$`)
)

// ClickChannel returns the channel id of a click-to-call, which is the id of
// the whole call too. Request ids with unusual signs are replaced by a digest,
// so that two of them never meet.
func ClickChannel(requestID string) string {
	if plainID.MatchString(requestID) {
		return ClickPrefix + requestID
	}
	sum := sha256.Sum256([]byte(requestID))
	return ClickPrefix + "x" + hex.EncodeToString(sum[:16])
}

// clicks remembers the request ids that were carried out.
type clicks struct {
	mu   sync.Mutex
	done map[string]time.Time
}

func (c *clicks) has(id string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.done[id]
	return ok && now.Sub(at) < clickMemory
}

func (c *clicks) add(id string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = map[string]time.Time{}
	}
	if len(c.done) >= 1000 {
		for k, at := range c.done {
			if now.Sub(at) >= clickMemory || len(c.done) >= 10_000 {
				delete(c.done, k)
			}
		}
	}
	c.done[id] = now
}

// Originate rings the employee's phone; when it is picked up, the dialplan at
// ClickContext calls the client. The returned id is the call's. The same
// request id gives the same call, not a second one (D-19). A *pbx.Refusal says
// what is in the way; after a fault.Uncertain the same request may be repeated.
func (p *PBX) Originate(ctx context.Context, o pbx.Originate) (string, error) {
	if o.RequestID == "" {
		return "", fault.New(fault.Invalid, "ari: originate", "no request id")
	}
	id := ClickChannel(o.RequestID)
	if p.clicks.has(id, time.Now()) {
		return id, nil
	}
	number := o.Client.Digits()
	if number == "" {
		number = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(o.ClientRaw)
	}
	if !dialable.MatchString(number) {
		return "", &pbx.Refusal{Code: "unknown_number", Text: "This is no number that can be called."}
	}
	resource, err := p.ready(ctx, o.Extension)
	if err != nil {
		return "", err
	}
	vars := map[string]string{"CB_C2C": o.RequestID, "CB_EXT": o.Extension, "__CB_DIR": "out"}
	if shown := firstOf(o.CallerID, p.cfg.OutboundCallerID); shown != "" {
		if !callerID.MatchString(shown) {
			return "", fault.New(fault.Invalid, "ari: originate", "the number to show, %q, is not one", shown)
		}
		vars["CB_CID"] = shown
	}
	err = p.do(ctx, request{op: "originate", method: http.MethodPost, path: "/channels", body: map[string]any{
		"endpoint":  p.cfg.Tech + "/" + resource,
		"context":   p.cfg.ClickContext,
		"extension": number,
		"priority":  1,
		"callerId":  fmt.Sprintf(`"%s" <%s>`, number, number), // the employee's phone shows whom it will call
		"timeout":   int(p.cfg.RingFor / time.Second),
		"channelId": id,
		"variables": vars,
	}})
	if fault.KindOf(err) == fault.Uncertain && p.exists(ctx, id) {
		err = nil
	}
	switch {
	case err == nil || statusOf(err) == http.StatusConflict: // 409: it lives already
		p.clicks.add(id, time.Now())
		return id, nil
	case statusOf(err) == http.StatusInternalServerError:
		// "Allocation failed" is all that Asterisk says of a phone it cannot reach.
		return "", noPhone(o.Extension)
	case fault.KindOf(err) == fault.Temporary:
		return "", p.unreachable(err)
	}
	return "", err
}

// ready says whether the phone of an extension can be rung, and what it is called.
func (p *PBX) ready(ctx context.Context, extension string) (resource string, err error) {
	unknown := &pbx.Refusal{Code: "unknown_extension", Text: fmt.Sprintf("The phone system has no extension %q.", extension)}
	resource, ok := p.endpoint(extension)
	if !ok {
		return "", unknown
	}
	state, err := p.endpointState(ctx, resource)
	switch {
	case fault.KindOf(err) == fault.Gone:
		return "", unknown
	case err != nil && fault.KindOf(err) == fault.Temporary:
		return "", p.unreachable(err)
	case err != nil:
		return "", err
	case state == "offline":
		return "", noPhone(extension)
	}
	if p.doNotDisturb(ctx, extension) {
		return "", &pbx.Refusal{Code: "do_not_disturb", Text: "Do-not-disturb is on for extension " + extension + "."}
	}
	return resource, nil
}

func noPhone(extension string) error {
	return &pbx.Refusal{Code: "no_phone", Text: "No phone is registered for extension " + extension + "."}
}

func (p *PBX) unreachable(err error) error {
	p.log.Warn("click-to-call failed", "err", err)
	return &pbx.Refusal{Code: "pbx_unreachable", Text: "The phone system does not answer."}
}

// exists says whether a channel lives.
func (p *PBX) exists(ctx context.Context, id string) bool {
	return p.do(ctx, request{op: "channel", method: http.MethodGet, path: "/channels/" + url.PathEscape(id)}) == nil
}

// Hangup ends a channel; one that is gone already is no error.
func (p *PBX) Hangup(ctx context.Context, channelID string) error {
	if channelID == "" {
		return errors.New("ari: hang up: no channel")
	}
	err := p.do(ctx, request{op: "hangup", method: http.MethodDelete, path: "/channels/" + url.PathEscape(channelID),
		query: url.Values{"reason": {"normal"}}})
	if fault.KindOf(err) == fault.Gone {
		return nil
	}
	return err
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
