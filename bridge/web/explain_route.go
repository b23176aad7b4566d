package web

import "regexp"

// routeNotes are what routing and the owner of contacts write, in Russian.
var routeNotes = []translation{
	{regexp.MustCompile(`^responsible of the open process (.*) in (\S+)$`), "ответственный за открытый процесс «%s» в %s"},
	{regexp.MustCompile(`^responsible of contact (\S+) in (\S+)$`), "ответственный за контакт %s в %s"},
	{regexp.MustCompile(`^personal manager in (\S+)$`), "персональный менеджер в %s"},
	{regexp.MustCompile(`^talked last with the client$`), "говорил с клиентом последним"},
	{regexp.MustCompile(`^do not disturb$`), "не беспокоить"},
	{regexp.MustCompile(`^on the phone$`), "разговаривает"},
	{regexp.MustCompile(`^the phone is not registered$`), "телефон не зарегистрирован"},
	{regexp.MustCompile(`^no extension$`), "нет внутреннего номера"},
	{regexp.MustCompile(`^no extension in (.*)$`), "нет внутреннего номера в %s"},
	{regexp.MustCompile(`^does not work there any more$`), "уже не работает"},
	{regexp.MustCompile(`^not among the employees of (.*)$`), "нет среди сотрудников %s"},
	{regexp.MustCompile(`^no answer from a CRM within (\d+) ms$`), "CRM не ответила за %s мс"},
	{regexp.MustCompile(`^no answer from a CRM in time: .*$`), "CRM не ответила вовремя"},
	{regexp.MustCompile(`^a source could not be asked: no answer from (.*)$`), "нет ответа от %s"},
	{regexp.MustCompile(`^a source could not be asked: .*$`), "источник не ответил"},
	{regexp.MustCompile(`^the call window of (.*) shows no hold$`), "окно звонка %s не показывает удержание"},
	{regexp.MustCompile(`^this call made no contact, and one that was there before keeps its responsible$`), "этот звонок не создавал контакт, а у прежнего контакта ответственный не меняется"},
	{regexp.MustCompile(`^contact (\S+), which this call made, is no longer there$`), "контакта %s, созданного этим звонком, уже нет"},
	{regexp.MustCompile(`^nobody to give contact (\S+) to$`), "некому передать контакт %s"},
	{regexp.MustCompile(`^contact (\S+) is his already$`), "контакт %s уже его"},
	{regexp.MustCompile(`^somebody gave contact (\S+) to (.*) meanwhile$`), "контакт %s тем временем передали: %s"},
	{regexp.MustCompile(`^(.*) does not let the responsible of a contact be changed$`), "%s не позволяет менять ответственного за контакт"},
}
