package main

import (
	"database/sql"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// enrollAs makes the device of another account than the test's.
func (h *harness) enrollAs(account string) {
	h.t.Helper()
	h.run(inwebosim.DefaultCode+"\n"+testPIN+"\n", "enroll", "--account", account, "--no-check")
}

// dataDir is the folder that the commands keep their store in.
func (h *harness) dataDir() string {
	for _, entry := range h.environ {
		if dir, ok := strings.CutPrefix(entry, "PIMSD_DATA_DIR="); ok {
			return dir
		}
	}
	h.t.Fatal("there is no data directory")
	return ""
}

// damage spoils the record of an account, as a failing disk may.
func (h *harness) damage(account string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.dataDir(), "pimsd.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(h.t.Context(), "UPDATE device SET body = x'7b00' WHERE account = ?", account); err != nil {
		h.t.Fatal(err)
	}
}

// both runs a command and returns what it writes to standard output and standard error.
func (h *harness) both(args ...string) (stdout, stderr string, cmd *exec.Cmd) {
	h.t.Helper()
	var out, said strings.Builder
	cmd = h.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	_ = cmd.Run() // callers look at the status
	return out.String(), said.String(), cmd
}

func TestListingPassesOverRecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	h.enrollAs("bob")
	h.enrollAs("carol")
	h.damage("bob")
	table, said, cmd := h.both("account", "list")
	if cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(said, "1 record cannot be read:\n  the record of account \"bob\" is damaged") {
		t.Errorf("status %d: %s", cmd.ProcessState.ExitCode(), said)
	}
	if !strings.Contains(table, "\nalice ") || !strings.Contains(table, "\ncarol ") {
		t.Errorf("the others are not listed:\n%s", table)
	}
	text, _, cmd := h.both("account", "list", "--json")
	var all []otp.Status
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 2 || cmd.ProcessState.ExitCode() != statusFailed {
		t.Errorf("as JSON: %v, %d accounts, status %d", err, len(all), cmd.ProcessState.ExitCode())
	}
	h.run("", "account", "forget", "--account", "carol", "--yes")
}

// All devices are in doubt, also one whose conversation ends afterwards, until it has had another one. The one whose record cannot be
// read is named.
func TestDoubtOfAccountsThatAreBusyOrDamaged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.environ = append(h.environ, "PIMSD_CONVERSATION_DEADLINE=3m", "PIMSD_INWEBO_EXCHANGE_TIMEOUT=1m", "PIMSD_CONVERSATION_QUEUE_WAIT=0s")
	h.enroll()
	h.enrollAs("bob")
	h.enrollAs("carol")
	h.damage("bob")
	reached, release := h.pause("ActionFinalize")
	asking := h.command("otp", "--account", testAccount)
	asking.Stdin = strings.NewReader(testPIN + "\n")
	if err := asking.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the conversation has begun", reached)
	done, said, cmd := h.both("account", "doubt", "--all")
	if cmd.ProcessState.ExitCode() != statusFailed || done != "3 in doubt.\n" || !strings.Contains(said, `the record of account "bob" is damaged`) {
		t.Errorf("status %d: %q, %s", cmd.ProcessState.ExitCode(), done, said)
	}
	release()
	if err := await(t, "the conversation has ended", ended(asking)); err != nil {
		t.Error(err)
	}
	if !h.status().InDoubt {
		t.Error("a conversation that began before has ended the doubt")
	}
	h.run(testPIN+"\n", "otp", "--account", testAccount)
	if h.status().InDoubt {
		t.Error("an accepted proof does not end the doubt")
	}
}
