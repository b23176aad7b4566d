package web

// missedTexts are those of the clients who wait to be called back.
var missedTexts = map[string][2]string{
	"returns.title":     {"Перезвонить", "To call back"},
	"returns.due":       {"до", "by"},
	"returns.overdue":   {"просрочено", "overdue"},
	"action.close_task": {"Закрытие дела", "Closing the task"},
	"action.recording":  {"Ссылка на запись", "Link to the recording"},
	"trigger.recording": {"запись готова", "the recording is ready"},
	"trigger.return":    {"клиенту перезвонили", "the client was called back"},
}
