package web

// routeTexts are those of routing, employees and named credentials.
var routeTexts = map[string][2]string{
	"console.routes":         {"Почему звонило именно там", "Why it rang there"},
	"console.routes.default": {"обычный сценарий АТС", "the PBX’s own scenario"},
	"console.routes.nobody":  {"Никто не подошёл", "Nobody came into question"},
}
