package api_test

import (
	"strings"
	"testing"
)

// flawed is a request that can have every fault at once, as far as they fit together.
type flawed struct {
	request
	members  []string // of the body
	trailing string
	drain    bool
}

// One fault of each kind, in the order in which docs/contract.md §1 names them.
var faults = []struct {
	name   string
	commit func(*flawed)
	status int
	code   int
	label  string
}{
	{"path", func(f *flawed) { f.path = "/v2" }, 404, 2002, "API not supported"},
	{"method", func(f *flawed) { f.method = "PUT" }, 405, 2002, "API not supported"},
	{"draining", func(f *flawed) { f.drain = true }, 503, 2001, "Facade not initialized"},
	{
		"caller", func(f *flawed) { f.header += "Authorization: Bearer x\n" },
		401, 2301, "Need Basic Authentication (to get CVS token)",
	},
	{"account", func(f *flawed) { f.header += "X-Pims-Account: \u00e9\n" }, 400, 2102, "Invalid X-Pims-Account parameter"},
	{"content type", func(f *flawed) { f.header += "Content-Type: text/json\n" }, 415, 2102, "Invalid Content-Type parameter"},
	{"coding", func(f *flawed) { f.header += "Content-Encoding: br\n" }, 415, 2102, "Invalid Content-Encoding parameter"},
	{"size", func(f *flawed) { f.trailing += strings.Repeat(" ", 17<<10) }, 413, 2102, "Invalid body parameter"},
	{"body", func(f *flawed) { f.trailing += "x" }, 400, 2102, "Invalid body parameter"},
	{"unknown name", func(f *flawed) { f.members = append(f.members, `"x":1`) }, 400, 2102, "Invalid x parameter"},
	{"missing action", func(f *flawed) { f.drop("action") }, 400, 2101, "Missing action parameter"},
	{"missing pinCode", func(f *flawed) { f.drop("pinCode") }, 400, 2101, "Missing pinCode parameter"},
	{"invalid action", func(f *flawed) { f.replace("action", `"no"`) }, 400, 2102, "Invalid action parameter"},
	{"invalid pinCode", func(f *flawed) { f.replace("pinCode", `0`) }, 400, 2102, "Invalid pinCode parameter"},
}

func (f *flawed) drop(name string) { f.replace(name, "") }

func (f *flawed) replace(name, value string) {
	for i, m := range f.members {
		if strings.HasPrefix(m, `"`+name+`"`) {
			f.members[i] = `"` + name + `":` + value
			if value == "" {
				f.members = append(f.members[:i:i], f.members[i+1:]...)
			}
			return
		}
	}
}

// Of every two faults, the one that stands first in the contract is named.
func TestFaultsAreNamedInOrder(t *testing.T) {
	serving, draining := newBench(t), newBench(t)
	draining.Drain()
	for i, first := range faults {
		for j, second := range faults[i:] {
			f := flawed{members: []string{`"pinCode":"0987"`, `"action":"withPIN"`}}
			if second.commit(&f); j > 0 {
				first.commit(&f) // after the second: what is missing can no longer become invalid
			}
			f.body = "{" + strings.Join(f.members, ",") + "}" + f.trailing
			b := serving
			if f.drain {
				b = draining
			}
			t.Run(first.name+" and "+second.name, func(t *testing.T) {
				b.send(t, f.request).is(t, first.status, first.code, first.label)
			})
		}
	}
	if n := len(serving.domain.asked) + len(draining.domain.asked); n > 0 {
		t.Errorf("the domain was asked %d times", n)
	}
}
