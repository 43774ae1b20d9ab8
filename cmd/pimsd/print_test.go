package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// A service's name comes from inWebo. This one would write a second row of a table, and control the terminal.
func TestNamesFromOutsideControlNothing(t *testing.T) {
	t.Parallel()
	const name = "PSA\nvictim  idle\tNotBlocked\x1b[31m\u009b31m\u202e"
	const shown = `PSA\nvictim  idle\tNotBlocked\x1b[31m\u009b31m\u202e`
	status := otp.Status{Account: "alice", Service: name, Services: []string{name}, DeviceName: name}
	for what, tc := range map[string]struct {
		print func(io.Writer) error
		lines int
	}{
		"account list": {func(w io.Writer) error { return printAccounts(w, []otp.Status{status}) }, 2},
		"account show": {func(w io.Writer) error { return printAccount(w, status) }, 0},
		"audit list": {func(w io.Writer) error {
			return (&auditTable{}).print(w, []otp.AuditRecord{{AuditEntry: otp.AuditEntry{Caller: name}}})
		}, 2},
		"check": {func(w io.Writer) error {
			return printReport(w, report{Findings: []app.Finding{{What: name, Outcome: app.OutcomeOK}}})
		}, 1},
	} {
		var out bytes.Buffer
		if err := tc.print(&out); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if !strings.Contains(text, shown) || tc.lines > 0 && strings.Count(text, "\n") != tc.lines {
			t.Errorf("%s shows %q", what, text)
		}
		if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s writes %q", what, text)
		}
	}
	var out bytes.Buffer
	if err := printJSON(&out, status); err != nil {
		t.Fatal(err)
	}
	var again otp.Status
	if err := json.Unmarshal(out.Bytes(), &again); err != nil || again.Service != name {
		t.Errorf("the JSON says %q, %v", again.Service, err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b\u202e") {
		t.Errorf("the JSON is %q", out.String())
	}
}

func TestPrintCodes(t *testing.T) {
	var got strings.Builder
	if err := printCodes(&got, errcodes.All()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
	if len(lines) != 1+len(errcodes.All()) {
		t.Fatalf("%d lines for %d codes", len(lines), len(errcodes.All()))
	}
	for i, want := range map[int]string{
		0: "CODE  HTTP             TYPE                 LABEL",
		7: "2102  400 413 415 422  Input error          Invalid [PARAMETER] parameter",
		8: "2202  502 504          Output Error         Network problem : No internet",
	} {
		if lines[i] != want {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
}
