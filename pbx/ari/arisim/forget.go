package arisim

// Forget makes Asterisk forget an application while its websocket stays open
// and answers pings: what a late clean-up after an abrupt close does.
func (s *Sim) Forget(app string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.apps, app)
}
