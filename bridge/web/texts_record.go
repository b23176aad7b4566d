package web

// recordTexts are those of the call record and of gaps.
var recordTexts = map[string][2]string{
	"record.first":   {"Говорил первым", "Talked first"},
	"record.last":    {"Говорил последним", "Talked last"},
	"record.longest": {"Говорил дольше всех", "Talked longest"},
	"record.path":    {"Путь по меню", "Way through the menu"},
	"record.unknown": {"Точно не известно (событие не дошло)", "Not known for sure (the event did not arrive)"},

	"unknown.agent":          {"чей звонок", "whose call it was"},
	"unknown.client":         {"номер клиента", "the client’s number"},
	"unknown.line":           {"линия", "the line"},
	"unknown.ended_at":       {"когда закончился", "when it ended"},
	"unknown.talk_ms":        {"сколько длился разговор", "how long the talk was"},
	"unknown.wait_ms":        {"сколько ждал клиент", "how long the client waited"},
	"unknown.outcome":        {"итог", "the outcome"},
	"unknown.reason":         {"причина", "the reason"},
	"unknown.hung_up_by":     {"кто положил трубку", "who hung up"},
	"unknown.cause":          {"код завершения", "the cause"},
	"unknown.legs":           {"подробности по телефонам", "details of the phones"},
	"unknown.longest_talked": {"кто говорил дольше всех", "who talked longest"},
	"unknown.transfers":      {"был ли перевод", "whether it was transferred"},
	"unknown.recordings":     {"есть ли запись", "whether there is a recording"},

	"gap.link_lost":     {"связь прервалась", "the connection was lost"},
	"gap.pbx_restarted": {"АТС перезапустилась", "the PBX was started anew"},
	"gap.call_log":      {"восстановлено по журналу АТС", "repaired from the PBX’s call log"},
	"gap.not_told":      {"АТС не сообщила о конце звонка", "the PBX did not tell the end of the call"},

	"event.digit_pressed": {"Клиент нажал клавишу", "A key was pressed"},
}
