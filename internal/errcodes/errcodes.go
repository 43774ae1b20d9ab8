// Package errcodes is the catalog of the codes that pimsd answers with: the type and label of each, letter for letter those of the PIMS
// mobile SDK, its HTTP statuses, its causes, and what a caller should do then.
//
// It is data, in catalog.json. Which code an error has is decided by one table in package api. The catalog is append-only: a code must
// never be removed, renumbered or relabeled, because released apps compare them; a test pins that. The package must not depend on another
// package of pimsd.
//
// Source: docs/contract.md §2; what inWebo's refusals become: docs/protocol.md §7.
package errcodes

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Code is a number of the catalogue. In an answer it is a JSON number.
type Code int

// OK is success where a code is counted rather than answered: in metrics, the log and the audit. It is no entry.
const OK Code = 0

// The codes that the program names. The others are only answered.
const (
	UnknownError         Code = 2000
	FacadeNotInitialized Code = 2001
	CoreNotConfigured    Code = 2006
	MissingParameter     Code = 2101
	InvalidParameter     Code = 2102
	PostSyncFailed       Code = 2316
)

// String is the number in decimal, as logs and metrics carry it: "2310", and "0" for OK.
func (c Code) String() string { return strconv.Itoa(int(c)) }

// Entry is what the catalogue says about one code.
type Entry struct {
	Code  Code   `json:"code"`
	Type  string `json:"type"`  // into which the SDK sorts the code, in its own spelling
	Label string `json:"label"` // may hold [PARAMETER]; LabelFor fills it in

	WithPIN  bool     `json:"withPIN"`        // one of the fifteen that the SDK publishes for pims.authentication.otp
	Causes   []Cause  `json:"causes"`         // at least one, those of one status side by side
	Wire     []string `json:"wire,omitempty"` // the refusals of inWebo that become this code
	Caller   string   `json:"caller"`         // what the app, and the person in front of it, should do
	Operator string   `json:"operator"`       // what the operator should do
}

// Cause is one reason for a code, and how the answer then travels.
type Cause struct {
	Reason     Reason `json:"reason"`
	HTTP       int    `json:"http"`
	RetryAfter bool   `json:"retryAfter"` // the answer carries the header Retry-After: waiting so long helps
	Advice     Advice `json:"advice"`
	When       string `json:"when"` // completes "pimsd answers it when …"
	// Command is what a command of pimsd that fails for this reason advises; empty for what no command fails for.
	Command string `json:"command,omitempty"`
}

//go:embed catalog.json
var catalogText []byte

//nolint:gochecknoglobals // it is read once, and never changes
var catalog = sync.OnceValue(func() (all []Entry) {
	if err := json.Unmarshal(catalogText, &all); err != nil {
		panic("errcodes: catalog.json: " + err.Error())
	}
	return all
})

// All returns the whole catalogue in ascending order of the codes. The caller must not change it.
func All() []Entry { return catalog() }

// Lookup returns the entry of c; false when the catalogue has none, as for OK.
func Lookup(c Code) (Entry, bool) {
	all := All()
	if i := slices.IndexFunc(all, func(e Entry) bool { return e.Code == c }); i >= 0 {
		return all[i], true
	}
	return Entry{}, false
}

// Statuses returns the HTTP statuses that the code may travel with, each once, the first cause's first.
func (e Entry) Statuses() []int {
	var statuses []int
	for _, c := range e.Causes {
		if !slices.Contains(statuses, c.HTTP) {
			statuses = append(statuses, c.HTTP)
		}
	}
	return statuses
}

// LabelFor returns the label with parameter in the place of [PARAMETER]. A parameter that is not 1 to 64 of
// [A-Za-z0-9_-] becomes "body": what a stranger sent is never repeated to a log or a screen. Other labels ignore it.
//
// Source: docs/contract.md §1.
func (e Entry) LabelFor(parameter string) string {
	if !isName(parameter) {
		parameter = "body"
	}
	return strings.ReplaceAll(e.Label, "[PARAMETER]", parameter)
}

func isName(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return s != "" && len(s) <= 64 && strings.Trim(s, alphabet) == ""
}
