package ari

import (
	"encoding/json"
	"fmt"
	"strings"

	"callbridge/bridge"
)

// wireFrame is every member of every event that we use.
type wireFrame struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`

	Channel    *wireChannel `json:"channel"`
	Caller     *wireChannel `json:"caller"`
	Peer       *wireChannel `json:"peer"`
	Forwarded  *wireChannel `json:"forwarded"`
	Transferee *wireChannel `json:"transferee"`
	FirstLeg   *wireChannel `json:"transferer_first_leg"`
	SecondLeg  *wireChannel `json:"transferer_second_leg"`
	Target     *wireChannel `json:"transfer_target"`

	DialStatus string   `json:"dialstatus"`
	DialString string   `json:"dialstring"`
	Forward    string   `json:"forward"`
	Exten      string   `json:"exten"`
	Result     string   `json:"result"`
	Cause      int      `json:"cause"`
	TechCause  int      `json:"tech_cause"`
	Soft       bool     `json:"soft"`
	Variable   string   `json:"variable"`
	Value      string   `json:"value"`
	Args       []string `json:"args"`
	Digit      string   `json:"digit"`

	Bridge      *wireRoom     `json:"bridge"`
	BridgeFrom  *wireRoom     `json:"bridge_from"`
	Recording   *wireRec      `json:"recording"`
	DeviceState *wireState    `json:"device_state"`
	Endpoint    *wireEndpoint `json:"endpoint"`
}

type wireChannel struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	State     string       `json:"state"`
	Caller    wireParty    `json:"caller"`
	Connected wireParty    `json:"connected"`
	Dialplan  wireDialplan `json:"dialplan"`
	Created   string       `json:"creationtime"`
	Vars      wireVars     `json:"channelvars"`
}

type wireParty struct {
	Name   string `json:"name"`
	Number string `json:"number"`
}

type wireDialplan struct {
	Context string `json:"context"`
	Exten   string `json:"exten"`
	App     string `json:"app_name"`
	AppData string `json:"app_data"`
}

// vars are the channelvars we ask for in ari.conf; a PBX nobody prepared
// sends none.
type wireVars struct {
	LinkedID string `json:"CHANNEL(linkedid)"`
	Dir      string `json:"CB_DIR"`
	DID      string `json:"CB_DID"`
	Ext      string `json:"CB_EXT"`
}

type wireRoom struct {
	ID       string   `json:"id"`
	Type     string   `json:"bridge_type"`
	Channels []string `json:"channels"`
	Created  string   `json:"creationtime"`
}

// members are those who hear each other: nobody in a holding bridge, where
// callers wait side by side.
func (r *wireRoom) members() []string {
	if r.Type == "holding" {
		return nil
	}
	return r.Channels
}

type wireRec struct {
	Name      string `json:"name"`
	Format    string `json:"format"`
	TargetURI string `json:"target_uri"`
}

type wireState struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

type wireEndpoint struct {
	Resource string `json:"resource"`
	State    string `json:"state"`
}

// helpers are technologies of channels that Asterisk makes for itself.
var helpers = map[string]bool{
	"Local": true, "Recorder": true, "Announcer": true, "Surrogate": true, "Snoop": true, "Bridge": true,
	"CBAnn": true, "CBRec": true, "Message": true, "UnicastRTP": true, "MulticastRTP": true,
	"AudioSocket": true, "WebSocket": true, "AsyncGoto": true, "Queue": true, "Stasis": true, "Custom": true,
}

// channel converts a channel object; nil if there is none.
func (d *Decoder) channel(c *wireChannel) *bridge.Channel {
	if c == nil || c.ID == "" {
		return nil
	}
	v := &bridge.Channel{
		ID: c.ID, Name: c.Name, Group: c.Vars.LinkedID, State: strings.ToLower(c.State),
		Number: c.Caller.Number, CallerNm: c.Caller.Name, Other: c.Connected.Number,
		Exten: c.Dialplan.Exten, Context: c.Dialplan.Context, App: c.Dialplan.App, AppData: c.Dialplan.AppData,
		Dir: c.Vars.Dir, DID: c.Vars.DID, Ext: c.Vars.Ext,
	}
	// A creation time we cannot read is only a weaker fact: the event's own
	// time takes its place.
	v.Since, _ = parseTime(c.Created)
	tech, res, _ := strings.Cut(c.Name, "/")
	if helpers[tech] {
		v.Helper = true
		if i := len(c.Name) - 2; i > 0 && c.Name[i] == ';' {
			v.Pair = c.Name[:i]
		}
		return v
	}
	if i := strings.LastIndexByte(res, '-'); i >= 0 {
		res = res[:i]
	}
	d.classify(v, tech, res)
	v.Incoming = c.State == "Ring"
	return v
}

// classify says whether an endpoint is a phone or an outside line. The name
// decides, never the caller number, which dialplans overwrite
// (reference/ari.md 5.1).
func (d *Decoder) classify(c *bridge.Channel, tech, res string) {
	if tech == "DAHDI" { // DAHDI/i1/74951234567-1f: the span is the endpoint
		res, _, _ = strings.Cut(res, "/")
	}
	switch x := d.o.Extensions[res]; {
	case x != "":
		c.Extension = x
	case !d.trunks[res] && d.o.Phones.MatchString(res):
		c.Extension = res
	default:
		c.Trunk = res
	}
}

// Snapshot reads the answers of GET /asterisk/info, GET /channels and GET
// /bridges; an empty body leaves its part empty.
func (d *Decoder) Snapshot(info, channels, bridges []byte) (bridge.Snapshot, error) {
	var s bridge.Snapshot
	if len(info) > 0 {
		var v struct {
			Status struct {
				Startup string `json:"startup_time"`
			} `json:"status"`
		}
		if err := json.Unmarshal(info, &v); err != nil {
			return s, fmt.Errorf("GET /asterisk/info: %w", err)
		}
		at, err := parseTime(v.Status.Startup)
		if err != nil && v.Status.Startup != "" {
			return s, fmt.Errorf("GET /asterisk/info: startup_time: %w", err)
		}
		s.StartedAt = at
	}
	if len(channels) > 0 {
		var list []wireChannel
		if err := json.Unmarshal(channels, &list); err != nil {
			return s, fmt.Errorf("GET /channels: %w", err)
		}
		s.Channels = make([]bridge.Channel, 0, len(list))
		for i := range list {
			if c := d.channel(&list[i]); c != nil {
				s.Channels = append(s.Channels, *c)
			}
		}
	}
	if len(bridges) > 0 {
		var list []wireRoom
		if err := json.Unmarshal(bridges, &list); err != nil {
			return s, fmt.Errorf("GET /bridges: %w", err)
		}
		for i := range list {
			since, _ := parseTime(list[i].Created)
			s.Rooms = append(s.Rooms, bridge.Room{ID: list[i].ID, Since: since, Members: list[i].members()})
		}
	}
	return s, nil
}
