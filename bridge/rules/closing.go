package rules

import (
	"callbridge/bridge"
)

var (
	taskCalledBack  = sentence{"%s called back and talked to the client", "%s перезвонил и поговорил с клиентом"}
	taskCameThrough = sentence{"the client called again and talked to %s", "клиент позвонил снова и поговорил с %s"}
	taskTalkedWith  = sentence{"the call was answered by %s after all", "на звонок всё же ответил %s"}
	taskByHand      = sentence{"%s said that nothing is left to do", "%s отметил, что перезванивать не нужно"}
)

// CloseTask makes the action that closes the task of a missed call, once the
// entry of the client is closed. who names the employee for people.
func CloseTask(task bridge.Action, e bridge.MissedEntry, who string, version int64) bridge.Action {
	s := taskByHand
	switch e.Closed {
	case bridge.CalledBack:
		s = taskCalledBack
	case bridge.CameThrough:
		s = taskCameThrough
	case bridge.WasTalkedWith:
		s = taskTalkedWith
	}
	if who == "" {
		who = "?"
	}
	reason := because(s, who)
	return bridge.Action{Key: task.Key + bridge.CloseSuffix, Kind: bridge.ActCloseTask, Trigger: bridge.OnReturn, Rule: task.Rule,
		Wanted: true, Reason: reason, Version: version, Text: Explain(reason, "ru")}
}

// OnLine says whether an integration with these lines has calls of a line; no
// lines are all lines.
func OnLine(lines []string, line string) bool { return len(lines) == 0 || onLine(lines, line) }

var recordingLate = sentence{"the recording was complete only after the call had been written", "запись была готова уже после передачи звонка"}

// AttachRecording makes the action that gives the link to a recording to a CRM
// that has the call already.
func AttachRecording(call bridge.Action, version int64) bridge.Action {
	return bridge.Action{Key: call.Key + bridge.RecordingSuffix, Kind: bridge.ActRecording, Trigger: bridge.OnRecording, Rule: call.Rule,
		Wanted: true, Reason: because(recordingLate), Version: version}
}

// RenewRecording gives the CRM of a call a new link, before the one it has runs
// out. period tells the renewals of one call apart.
func RenewRecording(call bridge.Action, period string, version int64) bridge.Action {
	a := AttachRecording(call, version)
	a.Key += "-" + period
	a.Reason = because(recordingRenewed)
	return a
}

var recordingRenewed = sentence{"the link to the recording is about to run out", "срок ссылки на запись подходит к концу"}

var askedOnCard = sentence{"%s asked for it on the card", "так просил на карточке %s"}

// OnCard is the reason of what an employee asked for on a card.
func OnCard(extension, name string) string {
	if name == "" {
		name = extension
	}
	if name == "" {
		name = "?"
	}
	return because(askedOnCard, name)
}
