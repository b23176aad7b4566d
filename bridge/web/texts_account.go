package web

import "callbridge/crm"

// accountTexts are those of named accounts and of the words of a check.
var accountTexts = map[string][2]string{
	"set.credential":           {"Учётная запись CRM", "CRM account"},
	"set.credential.new":       {"Новая учётная запись:", "New account:"},
	"set.credential.list":      {"Учётные записи CRM", "CRM accounts"},
	"set.credential.choose":    {"Авторизоваться через добавленную раньше", "Sign in with one that was added before"},
	"set.credential.add":       {"…или добавить новую", "…or add a new one"},
	"set.credential.name.help": {"Как показывать её в списке. Одной учётной записью могут пользоваться несколько интеграций.", "How the list shows it. Several integrations may use one account."},
	"set.credential.by":        {"Авторизация", "Signs in with"},
	"set.credential.by.help":   {"Учётные записи добавляются один раз и выбираются из списка.", "Accounts are added once and chosen from the list."},
	"set.credential.own":       {"— адрес и пароль только для этой интеграции —", "— address and password for this integration only —"},
	"set.credential.edit":      {"Изменить её", "Change it"},
	"set.credential.used":      {"Удалить нельзя, ею пользуются:", "It cannot be removed, these use it:"},
	"set.credential.usedby":    {"Ею пользуются:", "Used by:"},
	"set.credential.unused":    {"Ею никто не пользуется.", "Nobody uses it."},
	"set.step.account":         {"Выберите или добавьте учётную запись", "Choose or add an account"},

	"set.values":         {"Что можно подставить в заголовки и тексты", "What titles and texts may contain"},
	"set.values.more":    {"Пишите как показано слева; справа — пример пропущенного звонка.", "Write it as on the left; on the right is the example of a missed call."},
	"set.values.name":    {"Пишется", "Written"},
	"set.values.what":    {"Что это", "What it is"},
	"set.values.example": {"Пример", "Example"},

	"set.sync":      {"Сотрудники", "Employees"},
	"set.sync.on":   {"Синхронизировать сотрудников: предлагать сотрудников CRM для добавления сюда", "Synchronise employees: offer the CRM’s employees to be added here"},
	"set.sync.help": {"Кого добавить, выбирают на странице сотрудников интеграции.", "Who is added is chosen on the integration’s page of employees."},

	"check.settings":            {"Открыть настройки доступа", "Open the access settings"},
	"check.address.unknown":     {"Неверный адрес: такого имени в интернете нет. Откройте CRM в браузере, скопируйте адрес из адресной строки (https://имя) в поле «Адрес» и проверьте ещё раз.", "The address is wrong: there is no such name on the internet. Open the CRM in a browser, copy its address (https://name) into the field “Address”, and check again."},
	"check.address.certificate": {"По этому адресу отвечает сервер с чужим сертификатом. Проверьте адрес: откройте его в браузере, предупреждений быть не должно.", "The server at this address shows another’s certificate. Check the address: open it in a browser, there must be no warning."},
	"check.address.wrong":       {"Неверный адрес: там отвечает что-то другое, не эта CRM. Откройте CRM в браузере, скопируйте адрес из адресной строки (https://имя) в поле «Адрес» и проверьте ещё раз.", "The address is wrong: something answers there, but not this CRM. Open the CRM in a browser, copy its address (https://name) into the field “Address”, and check again."},
	"check.silent":              {"По этому адресу никто не отвечает. Откройте его в браузере: если не открывается и там, адрес неверен или CRM сейчас не работает; если открывается — серверу Callbridge закрыт выход в интернет (порт 443).", "Nobody answers at this address. Open it in a browser: if it does not open there either, the address is wrong or the CRM is down; if it does, the server of Callbridge has no way out to the internet (port 443)."},
	"check.busy":                {"CRM просит подождать: слишком много запросов. Проверьте ещё раз через минуту.", "The CRM asks to wait: too many requests. Check again in a minute."},
	"check.password":            {"Адрес верен, но CRM не принимает логин, пароль или ключ. Войдите с ними в CRM через браузер: если не пускает, задайте новый пароль (ключ) в CRM; впишите его в настройках доступа и проверьте ещё раз.", "The address is right, but the CRM refuses login, password or key. Sign in to the CRM with them in a browser: if that fails, set a new password (key) in the CRM; enter it in the access settings, and check again."},
	"check.right":               {"Адрес и пароль верны, но этому пользователю CRM не хватает прав. Дайте ему права администратора или войдите под другим.", "Address and password are right, but this user of the CRM lacks rights. Give him those of an administrator, or use another user."},

	"checkline.read employees":             {"Сотрудники", "read employees"},
	"checkline.read telephony settings":    {"Настройки телефонии (внутренние номера)", "read telephony settings"},
	"checkline.read calls":                 {"Звонки", "read calls"},
	"checkline.read clients":               {"Клиенты", "read clients"},
	"checkline.read todos":                 {"Дела", "read todos"},
	"checkline.read processes":             {"Процессы (сделки)", "read processes"},
	"checkline.read schemes":               {"Схемы процессов", "read schemes"},
	"checkline.category of communications": {"Вид дел для коммуникаций", "category of communications"},
	"checkline.category of tasks":          {"Вид дел для задач", "category of tasks"},
}

// checkLine writes a line of a check in the reader's language; what is not
// translated stays as the adapter wrote it.
func (l lang) checkLine(line crm.CheckLine) crm.CheckLine {
	if l != ru {
		return line
	}
	what := line.What
	if key := "checkline." + what; known(key) {
		line.What = l.t(key)
	}
	if help := checkHelps[what]; !line.OK && help != "" {
		line.Help = help
	}
	return line
}

// checkHelps is what to click when a line of a check fails, in Russian; the
// adapters have it in English.
var checkHelps = map[string]string{
	"read employees":             "Дайте пользователю интеграции в Мегаплане право видеть и менять сотрудников (Настройки → Права) или возьмите пользователя из группы «Админы».",
	"read telephony settings":    "В Мегаплане: Настройки → Интеграция → Телефония, выберите «Подключение к телефонии по API» и на вкладке «Пользователи» впишите внутренние номера.",
	"read calls":                 "В Мегаплане: Настройки → Интеграция → Телефония, выберите «Подключение к телефонии по API»; пользователю интеграции нужно право на телефонию.",
	"read clients":               "Дайте пользователю интеграции в Мегаплане право видеть и менять клиентов (Настройки → Права) или возьмите пользователя из группы «Админы».",
	"read todos":                 "Дайте пользователю интеграции в Мегаплане право видеть и менять дела (Настройки → Права) или возьмите пользователя из группы «Админы».",
	"read processes":             "Дайте пользователю интеграции в Мегаплане право видеть и менять процессы («Сделки») (Настройки → Права) или возьмите пользователя из группы «Админы».",
	"read schemes":               "Дайте пользователю интеграции в Мегаплане право видеть и менять схемы процессов (Настройки → Права) или возьмите пользователя из группы «Админы».",
	"category of communications": "Впишите в «Категория коммуникаций» название вида дел из Мегаплана; пусто — первый вид типа «Звонок».",
	"category of tasks":          "Впишите в «Категория дел» название вида дел из Мегаплана; пусто — первый вид типа «Дело».",
}
