package card

// Metrics is where the hub counts. The wiring gives functions that feed
// callbridge_cards_sent_total, …_confirmed_total, …_dropped_total,
// …_expired_total and the histogram callbridge_event_to_card_seconds; the gauge
// callbridge_connected_agents asks Hub.Connected. A nil function counts nothing.
type Metrics struct {
	Sent      func()                // a card was written to a browser
	Confirmed func()                // a browser said that it showed a card
	Dropped   func()                // a browser read too slowly and was resynchronised
	Expired   func()                // a card was taken away because nothing was heard of its call any more
	Latency   func(seconds float64) // from the event's arrival to the card on the socket
}

func (m Metrics) filled() Metrics {
	for _, f := range []*func(){&m.Sent, &m.Confirmed, &m.Dropped, &m.Expired} {
		if *f == nil {
			*f = func() {}
		}
	}
	if m.Latency == nil {
		m.Latency = func(float64) {}
	}
	return m
}

// Tabs returns how many browsers are connected for a phone.
func (h *Hub) Tabs(extension string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.byExt[extension])
}

// Connected counts the browser tabs that are connected now.
func (h *Hub) Connected() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, s := range h.byUser {
		n += len(s)
	}
	return n
}
