package ari

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge/fault"
)

const (
	// appFirst and appEvery are when Asterisk is asked whether it still knows
	// our application. After an abrupt close and a quick return its late
	// clean-up of the old application may take the new one with it: the link
	// stays open and pongs come, but never an event (seen on the bench).
	appFirst = 2 * time.Second
	appEvery = 30 * time.Second
	// farewell is how long a closing link waits for Asterisk to say goodbye,
	// so that it cleans up before we come back.
	farewell = 300 * time.Millisecond
)

// errForgotten ends a link that is open and useless.
var errForgotten = errors.New("the application is not known to Asterisk any more; the link is opened anew")

// watchApp ends the link when Asterisk has forgotten the application behind it.
func (p *PBX) watchApp(ctx context.Context, drop func(error)) {
	t := time.NewTimer(appFirst)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := p.do(ctx, request{op: "application", method: http.MethodGet, path: "/applications/" + url.PathEscape(p.cfg.App)})
		if ctx.Err() == nil && fault.KindOf(err) == fault.Gone && statusOf(err) == http.StatusNotFound {
			p.log.Error("Asterisk has forgotten the application of an open link", "app", p.cfg.App)
			drop(errForgotten)
			return
		}
		t.Reset(appEvery)
	}
}

// goodbye closes the websocket as the protocol wants it; closed is done when
// the reader has seen the answer.
func goodbye(ws *websocket.Conn, closed <-chan struct{}) {
	if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(farewell)); err == nil {
		t := time.NewTimer(farewell)
		defer t.Stop()
		select {
		case <-closed:
		case <-t.C:
		}
	}
	_ = ws.Close()
}
