package bench

import "time"

// scenarios of the bench, named as the recorded streams of pbx/ari are. The
// numbers of phones are those within a slot: 1 is 101 in the first.
var scenarios = map[string]scenario{
	"in_answered": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "answers", o), b.client(MainLine, "talks", o)}
	},
	"in_answered_agent_hangs_up": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "hangs up", o), b.client(MainLine, "waits", o)}
	},
	"in_missed_caller_hangs_up": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.client(MainLine, "gives up", o)}
	},
	"in_noanswer": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.client(MainLine, "is refused", o)}
	},
	"in_busy": func(b *Bench, o Options) []party {
		return []party{refused(b.phone(1, "refuses", o), 486), b.client(MainLine, "is refused", o)}
	},
	"in_rejected": func(b *Bench, o Options) []party {
		return []party{refused(b.phone(1, "refuses", o), 603), b.client(MainLine, "is refused", o)}
	},
	"in_dnd_phone": func(b *Bench, o Options) []party {
		quiet := refused(b.phone(1, "refuses", o), 480)
		quiet.ring = 0
		return []party{quiet, b.client(MainLine, "is refused", o)}
	},
	// Nothing listens at the phone's address. It is one that no other scenario
	// uses: the PBX calls it for seconds after the call is over.
	"in_phone_dead": func(b *Bench, o Options) []party {
		return []party{b.client(DeadLine, "is refused", o)}
	},
	"in_phone_unregistered": func(b *Bench, o Options) []party {
		return []party{b.client(GoneLine, "is refused", o)}
	},
	"in_blacklisted": func(b *Bench, o Options) []party {
		return []party{refused(b.client(BlockLine, "is refused", o), 403)}
	},
	"in_anonymous": func(b *Bench, o Options) []party {
		nobody := b.client(MainLine, "talks", o)
		nobody.from = `"Anonymous" <sip:anonymous@anonymous.invalid>`
		return []party{b.phone(1, "answers", o), nobody}
	},
	"in_no_number": func(b *Bench, o Options) []party {
		nobody := b.client(MainLine, "talks", o)
		nobody.from = "<sip:" + nobody.ip + ">"
		return []party{b.phone(1, "answers", o), nobody}
	},
	// A provider that hands numbers on as somebody typed them.
	"in_odd_number": func(b *Bench, o Options) []party {
		odd := b.client(MainLine, "talks", o)
		odd.from = `"Ivan" <sip:8(916)765-43-2` + o.Client[len(o.Client)-1:] + `@` + odd.ip + `>`
		return []party{b.phone(1, "answers", o), odd}
	},
	// One who sends words for a number.
	"in_word_number": func(b *Bench, o Options) []party {
		odd := b.client(MainLine, "talks", o)
		odd.from = `<sip:unavailable%20caller@` + odd.ip + `>`
		return []party{b.phone(1, "answers", o), odd}
	},
	// Somebody has set 101 to do-not-disturb.
	"in_dnd_stasis": func(b *Bench, o Options) []party {
		return []party{b.phone(2, "answers", o), b.client(DNDLine, "talks", o)}
	},
	// Somebody answers the routing step with 103.
	"in_routed": func(b *Bench, o Options) []party {
		return []party{b.phone(3, "answers", o), b.client(MainLine, "talks", o)}
	},
	// Somebody answers the question over HTTP with 102.
	"in_routed_http": func(b *Bench, o Options) []party {
		return []party{b.phone(2, "answers", o), b.client(HTTPLine, "talks", o)}
	},
	// Somebody sends the client on to 103 while he talks to 101.
	"in_sent_on": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "answers", o), b.phone(3, "hangs up", o), b.client(MainLine, "waits", o)}
	},
	// Somebody hangs up for 101.
	"in_ended_by_us": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "answers", o), b.client(MainLine, "waits", o)}
	},
	"in_second_rings": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.phone(2, "answers", o), later(b.client(AfterLine, "talks", o), 0)}
	},
	// 101's phone is forwarded to 103.
	"in_forward_302": func(b *Bench, o Options) []party {
		away := refused(b.phone(1, "refuses", o), 302)
		away.number = Extension(o.Slot, 3)
		return []party{away, b.phone(3, "answers", o), b.client(MainLine, "talks", o)}
	},
	"in_hold": func(b *Bench, o Options) []party {
		patient := b.client(MainLine, "talks", o)
		patient.talk = 3 * o.Talk
		return []party{b.phone(1, "holds", o), patient}
	},
	// 102 takes the call that rings at 101.
	"in_pickup": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.client(MainLine, "talks", o), later(b.employee(2, "*8"+Extension(o.Slot, 1), "waits", o), o.Ring)}
	},
	// A second client calls while 101 talks; he answers him too.
	"in_second_call": func(b *Bench, o Options) []party {
		both := b.phone(1, "answers", o)
		both.calls = 2
		first := b.client(MainLine, "talks", o)
		first.talk = 2*o.Talk + o.Ring
		second := later(b.client(MainLine, "talks", o), o.Ring+o.Talk/2)
		second.user = other(o.Client)
		return []party{both, first, second}
	},
	// One client has two calls at the same time.
	"in_same_client_at_once": func(b *Bench, o Options) []party {
		first := b.client(MainLine, "talks", o)
		first.talk = 2 * o.Talk
		return []party{b.phone(1, "answers", o), b.phone(3, "answers", o), first, later(pressing(b.client(MenuLine, "talks", o), "12"), 0)}
	},
	"in_parked": func(b *Bench, o Options) []party {
		giver := b.phone(1, "transfers", o)
		giver.number = ParkExten
		patient := b.client(MainLine, "talks", o)
		patient.talk = o.Ring + 3*o.Talk + time.Second
		return []party{giver, patient, later(b.employee(2, "701", "waits", o), o.Ring+2*o.Talk)}
	},
	"in_voicemail": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.client(VoiceLine, "talks", o)}
	},
	"group_102_answers": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.phone(2, "answers", o), b.client(GroupLine, "talks", o)}
	},
	"group_101_busy_102_answers": func(b *Bench, o Options) []party {
		busy := refused(b.phone(1, "refuses", o), 486)
		busy.ring = o.Ring / 4
		return []party{busy, b.phone(2, "answers", o), b.client(GroupLine, "talks", o)}
	},
	"group_missed": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.phone(2, "rings", o), b.client(GroupLine, "gives up", o)}
	},
	"group_local": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.phone(2, "answers", o), b.client(LocalLine, "talks", o)}
	},
	"queue_answered": func(b *Bench, o Options) []party {
		waiting := b.client(QueueLine, "talks", o) // he talks to the music first
		waiting.talk += o.Ring
		return []party{b.phone(1, "rings", o), b.phone(2, "answers", o), waiting}
	},
	// The queue tries 101, and after two seconds 102.
	"queue_second_attempt": func(b *Bench, o Options) []party {
		waiting := b.client(TurnLine, "talks", o)
		waiting.talk += o.Ring + 3500*time.Millisecond
		return []party{b.phone(1, "rings", o), b.phone(2, "answers", o), waiting}
	},
	"queue_abandoned": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "rings", o), b.phone(2, "rings", o), b.client(QueueLine, "talks", o)}
	},
	"ivr_answered": func(b *Bench, o Options) []party {
		choosing := pressing(b.client(MenuLine, "talks", o), "12")
		choosing.talk += o.Ring
		return []party{b.phone(3, "answers", o), choosing}
	},
	"ivr_abandoned": func(b *Bench, o Options) []party {
		return []party{pressing(b.client(MenuLine, "talks", o), "1")}
	},
	"xfer_blind": func(b *Bench, o Options) []party {
		giver := b.phone(1, "transfers", o)
		giver.number = Extension(o.Slot, 3)
		patient := b.client(MainLine, "talks", o)
		patient.talk = 2*o.Talk + o.Ring + time.Second
		return []party{giver, b.phone(3, "answers", o), patient}
	},
	"xfer_blind_noanswer": func(b *Bench, o Options) []party {
		giver := b.phone(1, "transfers", o)
		giver.number = Extension(o.Slot, 3)
		return []party{giver, b.phone(3, "rings", o), b.client(MainLine, "waits", o)}
	},
	"xfer_attended": func(b *Bench, o Options) []party {
		giver := b.phone(1, "consults", o)
		giver.number = Extension(o.Slot, 3)
		patient := b.client(MainLine, "talks", o)
		patient.talk = 5*o.Talk + o.Ring + time.Second
		return []party{giver, b.phone(3, "answers", o), patient}
	},
	"internal_answered": func(b *Bench, o Options) []party {
		return []party{b.phone(2, "answers", o), b.employee(1, Extension(o.Slot, 2), "talks", o)}
	},
	"internal_missed": func(b *Bench, o Options) []party {
		return []party{b.phone(2, "rings", o), b.employee(1, Extension(o.Slot, 2), "gives up", o)}
	},
	"out_answered": func(b *Bench, o Options) []party {
		return []party{b.provider("answers", o), b.employee(1, o.Client, "talks", o)}
	},
	"out_answered_client_hangs_up": func(b *Bench, o Options) []party {
		return []party{b.provider("hangs up", o), b.employee(1, o.Client, "waits", o)}
	},
	"out_busy": func(b *Bench, o Options) []party {
		return []party{refused(b.provider("refuses", o), 486), refused(b.employee(1, o.Client, "is refused", o), 486)}
	},
	"out_noanswer": func(b *Bench, o Options) []party {
		return []party{b.provider("rings", o), b.employee(1, o.Client, "is refused", o)}
	},
	"out_rejected": func(b *Bench, o Options) []party {
		return []party{refused(b.provider("refuses", o), 603), b.employee(1, o.Client, "is refused", o)}
	},
	"out_bad_number": func(b *Bench, o Options) []party {
		return []party{silently(refused(b.provider("refuses", o), 404)), b.employee(1, o.Client, "is refused", o)}
	},
	"out_provider_503": func(b *Bench, o Options) []party {
		return []party{silently(refused(b.provider("refuses", o), 503)), b.employee(1, o.Client, "is refused", o)}
	},
	"out_cancelled": func(b *Bench, o Options) []party {
		return []party{b.provider("rings", o), b.employee(1, o.Client, "gives up", o)}
	},

	// The phones of a click-to-call: whoever tests it places the call itself.
	"c2c": func(b *Bench, o Options) []party {
		agent := b.phone(1, "hangs up", o)
		agent.talk = o.Talk + o.Ring
		return []party{agent, b.provider("answers", o)}
	},
	"c2c_agent_noanswer": func(b *Bench, o Options) []party { return []party{b.phone(1, "rings", o)} },
	"c2c_agent_rejects":  func(b *Bench, o Options) []party { return []party{refused(b.phone(1, "refuses", o), 603)} },
	"c2c_client_busy": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "answers", o), refused(b.provider("refuses", o), 486)}
	},
	"c2c_client_noanswer": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "answers", o), b.provider("rings", o)}
	},
	"c2c_bad_number": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "answers", o), silently(refused(b.provider("refuses", o), 404))}
	},
	"c2c_agent_cancels": func(b *Bench, o Options) []party {
		return []party{b.phone(1, "hangs up", o), b.provider("rings", o)}
	},
}

// later lets a party join after the one before it.
func later(p party, by time.Duration) party {
	p.after = by + 200*time.Millisecond
	return p
}

func pressing(p party, digits string) party {
	p.digits = digits
	return p
}

// silently is without ringing first.
func silently(p party) party {
	p.ring = 0
	return p
}

func refused(p party, code int) party {
	p.code = code
	return p
}

// other is another client's number, made of the first one's.
func other(number string) string {
	last := number[len(number)-1]
	return number[:len(number)-1] + string('0'+(last-'0'+5)%10)
}
