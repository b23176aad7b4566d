package retailcrm

import (
	"strings"
	"testing"

	"callbridge/bridge/fault"
	"callbridge/crm"
	"callbridge/crm/retailcrm/retailcrmtest"
)

// F-6: the task of a missed call is closed with the reason, once, and still
// carries our key.
func TestF06TaskIsClosed(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		made, err := c.CreateTask(t.Context(), crm.Key{ID: "callbridge:1:task-0"}, crm.NewTask{Title: "Перезвонить", Text: "Пропущенный", Responsible: "11", Phone: "+79161234567"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			m, err := c.CloseTask(t.Context(), crm.Key{ID: "callbridge:1:task-0:close"}, made.ID, "Иван перезвонил")
			if err != nil || m.Found != (i == 1) {
				t.Fatalf("%d: %+v %v", i, m, err)
			}
		}
		for _, o := range f.Objects() {
			if o.Kind != "task" {
				continue
			}
			note := o.Value("commentary")
			if o.Value("complete") != "true" || strings.Count(note, "Иван перезвонил") != 1 || !strings.HasSuffix(note, "callbridge:1:task-0") {
				t.Errorf("%+v", o)
			}
		}
		_, err = c.CloseTask(t.Context(), crm.Key{ID: "x"}, "404404", "x")
		wantKind(t, err, fault.Gone)
	})
}
