package web

// consoleRoutes are those of the card's work and of the console's own lists.
func (s *server) consoleRoutes() []route {
	return []route{
		{"POST /calls/{id}/resend", admins, s.callResend},
		{"GET /live", console, s.livePage},
		{"GET /alarms", console, s.alarmsPage},
		{"GET /gaps", console, s.gapsPage},
		{"GET /settings/tokens", console, s.tokensPage},
		{"POST /settings/tokens", console, s.tokensPage},
		{"GET /api/v1/alarms", console, s.apiAlarms},
		{"GET /api/v1/gaps", console, s.apiGaps},
		{"GET /api/v1/tokens", console, s.apiTokens},
		{"POST /api/v1/tokens", console, s.apiGiveToken},
		{"DELETE /api/v1/tokens/{id}", console, s.apiWithdrawToken},
		{"GET /settings/personal", console, s.personalPage},
		{"POST /settings/personal", console, s.personalPage},
		{"GET /api/v1/calls/{id}/work", signed, s.apiWritten},
		{"POST /api/v1/calls/{id}/work", signed, s.apiWork},
		{"POST /api/v1/calls/{id}/hangup", signed, s.apiHangup},
		{"POST /api/v1/calls/{id}/transfer", signed, s.apiTransfer},
		{"GET /api/v1/calls/{id}/recordings/{n}", signed, s.recording},
		{"POST /api/v1/personal/search", console, s.apiPersonalSearch},
		{"POST /api/v1/personal/export", console, s.apiPersonalExport},
		{"POST /api/v1/personal/erase", console, s.apiPersonalErase},
		{"GET /api/v1/retention", console, s.apiRetention},
	}
}
