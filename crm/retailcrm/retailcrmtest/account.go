package retailcrmtest

import (
	"net/http"
	"strconv"
	"strings"
)

func settings(r *request) reply {
	return ok(object{"settings": object{
		"default_currency": object{"value": "RUB"}, "system_language": object{"value": "ru"},
		"timezone": object{"value": r.f.opts.Zone},
	}})
}

func (u *user) object(f *Fake) object {
	o := object{"id": u.ID, "createdAt": u.at.In(f.zone).Format("2006-01-02 15:04:05"), "active": !u.Dismissed,
		"isAdmin": u.Admin, "isManager": !u.NoManager, "online": u.online, "status": u.status, "email": u.Email,
		"firstName": u.First, "lastName": u.Last}
	groups := []object{}
	if !u.NoManager {
		groups = append(groups, object{"id": 1, "name": "Менеджеры", "code": "manager"})
	}
	if u.Admin {
		groups = append(groups, object{"id": 2, "name": "Суперадмины", "code": "superadmins"})
	}
	o["groups"] = groups
	for k, v := range o {
		if v == "" {
			delete(o, k) // absent, never empty
		}
	}
	return o
}

func listUsers(r *request) reply {
	limit, page, flt, bad := r.page(filters{"email": text, "status": one("free", "busy", "dinner", "break"), "online": queryBool,
		"active": queryBool, "isManager": queryBool, "isPosManager": queryBool, "isAdmin": queryBool, "groups": text,
		"createdAtFrom": stamped("2006-01-02 15:04:05"), "createdAtTo": stamped("2006-01-02 15:04:05")})
	if bad != nil {
		return *bad
	}
	var out []object
	for _, u := range r.f.users {
		o := u.object(r.f)
		keep := true
		for name, vals := range flt {
			switch name {
			case "email":
				keep = keep && strings.EqualFold(vals[0], u.Email)
			case "active":
				keep = keep && (vals[0] == "1") == !u.Dismissed
			case "isManager":
				keep = keep && (vals[0] == "1") == !u.NoManager
			case "isAdmin":
				keep = keep && (vals[0] == "1") == u.Admin
			case "online":
				keep = keep && (vals[0] == "1") == u.online
			case "status":
				keep = keep && u.online && vals[0] == u.status
			}
		}
		if keep {
			out = append(out, o)
		}
	}
	cutOut, p := paged(out, limit, page)
	return ok(object{"users": cutOut, "pagination": p})
}

func getUser(r *request) reply {
	id, _ := strconv.Atoi(r.arg["id"])
	u := r.f.userByID(id)
	if u == nil {
		return fail(http.StatusNotFound, "Not found", nil)
	}
	return ok(object{"user": u.object(r.f)})
}

func userStatus(r *request) reply {
	id, _ := strconv.Atoi(r.arg["id"])
	u := r.f.userByID(id)
	if u == nil {
		return fail(http.StatusNotFound, "Not found", nil)
	}
	s := r.form.Get("status")
	if s == "" {
		return fail(http.StatusBadRequest, "Parameter 'status' is missing", nil)
	}
	if one("free", "busy", "dinner", "break")(s) != "" {
		return fail(http.StatusBadRequest, inputParams, object{"status": notValid})
	}
	u.status = s
	r.f.echoed(id, s)
	return ok(object{})
}

func userGroups(r *request) reply {
	limit, page, _, bad := r.page(nil)
	if bad != nil {
		return *bad
	}
	out, p := paged([]object{
		{"id": 1, "name": "Менеджеры", "code": "manager", "isManager": true, "isPosManager": false, "isDeliveryMen": false},
		{"id": 2, "name": "Суперадмины", "code": "superadmins", "isManager": false, "isPosManager": false, "isDeliveryMen": false},
	}, limit, page)
	return ok(object{"groups": out, "pagination": p})
}

func sites(r *request) reply {
	out := object{}
	for i, s := range r.f.opts.Sites {
		out[s] = object{"id": i + 1, "code": s, "name": "Магазин " + s, "url": "https://" + s + ".example.ru", "ordering": i + 1,
			"countryIso": "RU", "currency": "RUB", "defaultForCrm": i == 0}
	}
	return ok(object{"sites": out})
}

// groups of statuses, as a fresh account has them.
var groupTable = []struct {
	code     string
	process  bool
	statuses []string
}{
	{"new", false, []string{"new"}},
	{"approval", true, []string{"availability-confirmed", "offer-analog", "client-confirmed", "prepayed"}},
	{"assembling", true, []string{"send-to-assembling", "assembling", "assembling-complete"}},
	{"delivery", true, []string{"send-to-delivery", "delivering", "redirect", "delivered"}},
	{"complete", false, []string{"complete"}},
	{"cancel", false, []string{"no-call", "no-product", "already-buyed", "delyvery-did-not-suit", "prices-did-not-suit", "cancel-other", "abandoned-cart"}},
}

func hasStatus(code string) bool {
	for _, g := range groupTable {
		for _, s := range g.statuses {
			if s == code {
				return true
			}
		}
	}
	return false
}

func statuses(*request) reply {
	out := object{}
	for _, g := range groupTable {
		for i, s := range g.statuses {
			out[s] = object{"name": s, "code": s, "active": true, "ordering": 10 * (i + 1), "group": g.code}
		}
	}
	return ok(object{"statuses": out})
}

func statusGroups(*request) reply {
	out := object{}
	for i, g := range groupTable {
		out[g.code] = object{"name": g.code, "code": g.code, "active": true, "ordering": 10 * (i + 1), "process": g.process, "statuses": g.statuses}
	}
	return ok(object{"statusGroups": out})
}

var (
	typeCodes   = []string{"eshop-individual", "eshop-legal", "2"}
	methodCodes = []string{"shopping-cart", "phone", "missed-call", "landing-page", "one-click", "live-chat", "messenger"}
)

func dictionary(codes []string) object {
	out := object{}
	for i, c := range codes {
		out[c] = object{"name": c, "code": c, "active": true, "defaultForCrm": i == 0, "defaultForApi": i == 0, "ordering": 10 * (i + 1)}
	}
	return out
}

func orderTypes(*request) reply   { return ok(object{"orderTypes": dictionary(typeCodes)}) }
func orderMethods(*request) reply { return ok(object{"orderMethods": dictionary(methodCodes)}) }

func getModule(r *request) reply {
	m, has := r.f.modules[r.arg["code"]]
	if !has {
		return fail(http.StatusNotFound, "Not found", nil)
	}
	out := copyOf(m)
	delete(out, "clientId")
	if _, has := out["actions"]; !has {
		out["actions"] = []any{}
	}
	return ok(object{"integrationModule": out})
}

func secureURL(v any) string {
	s := str(v)
	if absoluteURL(v) != "" || (!strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://127.0.0.1") && !strings.HasPrefix(s, "http://localhost")) {
		return "This value is not a valid URL."
	}
	return ""
}

var moduleShape = shape{
	"code": text, "integrationCode": text, "active": boolean, "name": text, "clientId": text, "baseUrl": secureURL, "accountUrl": secureURL,
	"actions": objectOf(shape{"activity": text}), "availableCountries": listOf(text),
	"logo": func(v any) string {
		if s := str(v); secureURL(v) != "" || !strings.HasSuffix(s, ".svg") {
			return "The logo must be an SVG file."
		}
		return ""
	},
	"integrations": objectOf(shape{"telephony": objectOf(shape{
		"makeCallUrl": secureURL, "changeUserStatusUrl": secureURL, "allowEdit": boolean, "inputEventSupported": boolean,
		"outputEventSupported": boolean, "hangupEventSupported": boolean,
		"additionalCodes": listOf(objectOf(shape{"code": func(v any) string {
			if str(v) == "" {
				return notValid
			}
			return ""
		}, "userId": func(v any) string {
			if toInt(v) <= 0 {
				return notValid
			}
			return ""
		}})),
		"externalPhones": listOf(objectOf(shape{"siteCode": text, "externalPhone": text})),
	})}),
}

func editModule(r *request) reply {
	doc, bad := r.document("integrationModule")
	if bad != nil {
		return *bad
	}
	errs := moduleShape.errors(doc)
	for _, k := range []string{"code", "clientId", "name", "baseUrl", "logo"} {
		if _, has := doc[k]; !has {
			errs[k] = "This value should not be blank."
		}
	}
	if str(doc["code"]) != r.arg["code"] {
		errs["code"] = notValid
	}
	if len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	if !r.f.funds {
		return fail(http.StatusPaymentRequired, "Failed to activate module",
			[]string{"Your account has insufficient funds to activate integration module"})
	}
	info := object{}
	if in, has := doc["integrations"].(object); has {
		if tel, has := in["telephony"].(object); has {
			if rep := r.f.storeCodes(tel, info); rep != nil {
				return *rep
			}
		}
	}
	_, existed := r.f.modules[r.arg["code"]]
	r.f.modules[r.arg["code"]] = doc
	body := object{"info": info}
	if len(info) == 0 {
		body["info"] = []any{}
	}
	if existed {
		return ok(body)
	}
	return created(body)
}

// storeCodes gives users their extensions and drops unknown users and shops.
func (f *Fake) storeCodes(tel, info object) *reply {
	if list, has := tel["additionalCodes"].([]any); has {
		var kept []any
		var unknown []int
		seen := map[string]bool{}
		for _, e := range list {
			o := e.(object)
			code := str(o["code"])
			if seen[code] {
				rep := fail(http.StatusBadRequest, entityFormat, object{"additionalCodes": "The codes must be unique."})
				return &rep
			}
			seen[code] = true
			if f.userByID(toInt(o["userId"])) == nil {
				unknown = append(unknown, toInt(o["userId"]))
				continue
			}
			kept = append(kept, object{"userId": toInt(o["userId"]), "code": code})
		}
		for _, u := range f.users {
			u.Extension = ""
		}
		for _, e := range kept {
			o := e.(object)
			f.userByID(toInt(o["userId"])).Extension = str(o["code"])
		}
		tel["additionalCodes"] = kept
		if unknown != nil {
			info["notExistUsersIds"] = unknown
		}
	}
	if list, has := tel["externalPhones"].([]any); has {
		var kept []any
		var unknown []string
		for _, e := range list {
			if code := str(e.(object)["siteCode"]); f.hasSite(code) {
				kept = append(kept, e)
			} else {
				unknown = append(unknown, code)
			}
		}
		tel["externalPhones"] = kept
		if unknown != nil {
			info["notExistSiteCodes"] = unknown
		}
	}
	return nil
}
