// Package sandbox is what the simulated CRMs have in common: the list of what
// was made in them, switches for faults, and the web page that shows both. The
// same simulated CRMs serve the tests, `callbridge sandbox` and `callbridge demo`.
package sandbox

import (
	"net/http"
	"time"
)

// Sandbox is a simulated CRM. Its ServeHTTP is the CRM's API.
type Sandbox interface {
	http.Handler
	// Title is for people: "retailCRM".
	Title() string
	// Objects returns what the CRM holds, in the order it was made.
	Objects() []Object
	// Faults returns the switches with their present position.
	Faults() []FaultSwitch
	// SetFault turns a switch; an unknown name does nothing.
	SetFault(name string, on bool)
	// Reset forgets everything made since the start and turns all faults off.
	Reset()
}

// Object is one thing in the CRM, for the page and for counting in tests.
type Object struct {
	Kind      string // contact, call, communication, task, deal, popup
	ID        string
	Title     string
	Fields    []Field
	CreatedAt time.Time
	Seed      bool // was there from the start
}

// Field is one value of an Object.
type Field struct{ Name, Value string }

// Value returns the field of that name, "" if there is none.
func (o Object) Value(name string) string {
	for _, f := range o.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Framer is a Sandbox that shows pages of other programs with its objects, as
// the widgets of a CRM are.
type Framer interface{ Frames(o Object) []Frame }

// Frame is a page inside the page of an object.
type Frame struct{ Title, URL string }

// FaultSwitch is a fault that stays until it is turned off.
type FaultSwitch struct {
	Name string
	On   bool
}

// Names of the usual switches; the page translates them.
const (
	Credentials = "credentials" // the credentials are refused
	Broken      = "broken"      // HTTP 500
	Busy        = "busy"        // told to slow down
	Slow        = "slow"        // answers after three seconds
	Cut         = "cut"         // does what was asked, then cuts the connection
)

// Count returns how many objects of a kind there are.
func Count(s Sandbox, kind string) int {
	n := 0
	for _, o := range s.Objects() {
		if o.Kind == kind {
			n++
		}
	}
	return n
}
