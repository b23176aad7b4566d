package ari

import (
	"context"
	"net/http"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/pbx"
)

// transferContext is the dialplan's part of a transfer
// (deploy/asterisk/extensions_callbridge.conf). ARI itself moves channels of
// Stasis applications only, so a helper channel runs a step of the dialplan
// that sends the other channel on.
const transferContext = "callbridge-transfer"

// Transfer sends a channel, in whatever bridge it is, to the phone of an
// extension. The phone must be there and willing. That the dialplan really did
// it shows in the events that follow.
func (p *PBX) Transfer(ctx context.Context, channelID, extension string) (bridge.Time, error) {
	if _, err := p.ready(ctx, extension); err != nil {
		return bridge.Time{}, err
	}
	if channelID == "" || !p.exists(ctx, channelID) {
		return bridge.Time{}, &pbx.Refusal{Code: "call_over", Text: "The client is not on the line any more."}
	}
	at := p.clock.pbx(time.Now())
	err := p.do(ctx, request{op: "transfer", method: http.MethodPost, path: "/channels", body: map[string]any{
		"endpoint":  "Local/s@" + transferContext + "/n",
		"context":   transferContext,
		"extension": "done",
		"priority":  1,
		"timeout":   5,
		"variables": map[string]string{"__CB_CHANNEL": channelID, "__CB_TO": extension},
	}})
	switch {
	case statusOf(err) == http.StatusInternalServerError:
		// "Allocation failed": there is no such context.
		return at, &pbx.Refusal{Code: "no_transfer", Text: "The dialplan lacks the context " + transferContext + "."}
	case fault.KindOf(err) == fault.Temporary && err != nil:
		return at, p.unreachable(err)
	}
	return at, err
}
