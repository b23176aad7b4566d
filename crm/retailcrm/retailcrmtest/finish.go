package retailcrmtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// editTask changes a task; it takes what a task has when it is made, and
// whether it is complete.
func editTask(r *request) reply {
	for _, t := range r.f.tasks {
		if strconv.Itoa(t.id()) != r.arg["id"] {
			continue
		}
		doc, bad := r.document("task")
		if bad != nil {
			return *bad
		}
		if errs := taskShape.errors(doc); len(errs) > 0 {
			return fail(http.StatusBadRequest, "Task is not loaded", slices.Sorted(maps.Keys(errs)))
		}
		maps.Copy(t.data, doc)
		return ok(object{"id": t.id()})
	}
	return fail(http.StatusNotFound, "Not found", nil)
}
