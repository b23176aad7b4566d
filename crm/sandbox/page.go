package sandbox

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

const shownObjects = 200

// Handler serves the web page at "/" and the CRM's API everywhere else.
func Handler(s Sandbox) http.Handler {
	page := template.Must(template.New("page").Parse(pageText))
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, r *http.Request, only string) {
		lang := language(r)
		all := s.Objects()
		slices.Reverse(all)
		if only != "" {
			all = slices.DeleteFunc(all, func(o Object) bool { return o.ID != only })
		}
		counts := map[string]int{}
		var kinds []string
		rows := make([]row, 0, min(len(all), shownObjects))
		for _, o := range all {
			if counts[o.Kind]++; counts[o.Kind] == 1 {
				kinds = append(kinds, o.Kind)
			}
			if len(rows) < shownObjects {
				rows = append(rows, row{o, "/_sandbox/object/" + url.PathEscape(o.ID) + "?lang=" + lang})
			}
		}
		slices.Sort(kinds)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		var frames []Frame
		if f, ok := s.(Framer); ok && only != "" && len(all) > 0 {
			frames = f.Frames(all[0])
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"+frameSources(frames))
		if only != "" && len(rows) == 0 {
			w.WriteHeader(http.StatusNotFound)
		}
		_ = page.Execute(w, map[string]any{ // the browser went away: nobody to tell
			"Title": s.Title(), "Lang": lang, "T": words[lang], "Faults": s.Faults(), "Only": only,
			"Frames": frames, "Objects": rows, "Total": len(all), "Kinds": kinds, "Counts": counts,
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { show(w, r, "") })
	mux.HandleFunc("GET /_sandbox/object/{id}", func(w http.ResponseWriter, r *http.Request) { show(w, r, r.PathValue("id")) })
	back := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/?lang="+language(r), http.StatusSeeOther)
	}
	mux.HandleFunc("POST /_sandbox/fault", func(w http.ResponseWriter, r *http.Request) {
		s.SetFault(r.PostFormValue("name"), r.PostFormValue("on") == "1")
		back(w, r)
	})
	mux.HandleFunc("POST /_sandbox/reset", func(w http.ResponseWriter, r *http.Request) {
		s.Reset()
		back(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// A person who follows the link of an object wants to see it; the
		// program asks for JSON.
		if id := objectID(r); id != "" {
			show(w, r, id)
			return
		}
		s.ServeHTTP(w, r)
	})
	// A page elsewhere must not turn our switches in the developer's browser.
	guard := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
			guard.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// frameSources allows the pages inside.
func frameSources(frames []Frame) string {
	out := ""
	for _, f := range frames {
		if u, err := url.Parse(f.URL); err == nil && u.Host != "" {
			out += " " + u.Scheme + "://" + u.Host
		}
	}
	if out == "" {
		return ""
	}
	return "; frame-src" + out
}

// row is an object with the address of its own page.
type row struct {
	Object
	Path string
}

// objectID finds the id in an address as CRMs show their objects to people:
// the last part of the path that is a number, for a browser only.
func objectID(r *http.Request) string {
	if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") || strings.HasPrefix(r.URL.Path, "/api/") {
		return ""
	}
	id := ""
	for part := range strings.SplitSeq(r.URL.Path, "/") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			id = part
		}
	}
	return id
}

func language(r *http.Request) string {
	switch l := r.URL.Query().Get("lang"); l {
	case "ru", "en":
		return l
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		if p := strings.TrimSpace(part); strings.HasPrefix(p, "en") {
			return "en"
		} else if strings.HasPrefix(p, "ru") {
			return "ru"
		}
	}
	return "ru"
}

var words = map[string]map[string]string{
	"ru": {
		"sandbox": "песочница", "back": "← Всё, что создано", "responsible": "ответственный", "client": "клиент", "begin": "начало", "end": "конец",
		"text": "текст", "phone": "телефон", "employee": "сотрудник", "key": "ключ", "manager": "менеджер", "status": "статус", "type": "вид",
		"date": "дата", "result": "результат", "duration": "длительность", "performer": "исполнитель", "customer": "клиент", "number": "номер", "due": "срок",
		"intro": "Это песочница: настоящей CRM здесь нет, всё хранится в памяти до перезапуска.",
		"made":  "Что создано", "nothing": "Пока ничего.", "kind": "Вид", "what": "Что", "values": "Значения", "when": "Когда",
		"faults": "Неисправности", "on": "включить", "off": "выключить", "reset": "Очистить всё созданное", "seed": "было с самого начала",
		"contact": "Клиент", "call": "Звонок", "communication": "Коммуникация", "task": "Дело, задача", "deal": "Процесс, заказ",
		"popup": "Всплывающее окно", "note": "Заметка", "user": "Сотрудник", "total": "Всего",
		Credentials: "Пароль или ключ не подходит", Broken: "Ошибка 500 на всё", Busy: "«Слишком много запросов»",
		Slow: "Отвечает через 3 секунды", Cut: "Выполняет и рвёт соединение",
	},
	"en": {
		"sandbox": "sandbox", "back": "← Everything that was created",
		"responsible": "responsible", "client": "client", "begin": "begin", "end": "end", "text": "text", "phone": "phone", "employee": "employee", "key": "key", "manager": "manager", "status": "status", "type": "type", "date": "date", "result": "result", "duration": "duration", "performer": "performer", "customer": "customer", "number": "number", "due": "due",
		"intro": "This is a sandbox: there is no real CRM here, everything lives in memory until a restart.",
		"made":  "What was created", "nothing": "Nothing yet.", "kind": "Kind", "what": "What", "values": "Values", "when": "When",
		"faults": "Faults", "on": "turn on", "off": "turn off", "reset": "Clear everything created", "seed": "there from the start",
		"contact": "Contact", "call": "Call", "communication": "Communication", "task": "Task", "deal": "Process, order",
		"popup": "Pop-up", "note": "Note", "user": "Employee", "total": "Total",
		Credentials: "Credentials are refused", Broken: "Error 500 on everything", Busy: "“Too many requests”",
		Slow: "Answers after 3 seconds", Cut: "Does it, then cuts the connection",
	},
}
