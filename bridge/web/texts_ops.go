package web

// opsTexts are those of running the program.
var opsTexts = map[string][2]string{
	"audit.log_level": {"Подробность журнала", "Level of the log"},

	"error.bad_level":    {"Бывает debug, info, warn и error.", "It is one of debug, info, warn and error."},
	"error.no_log_level": {"Подробность журнала здесь не меняется.", "The level of the log cannot be changed here."},
}
