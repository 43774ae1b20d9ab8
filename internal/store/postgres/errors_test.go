package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pimsd/pimsd/internal/otp"
)

// Only a server that goes on after its error has undone the statement.
func TestWhatAnErrorSaysOfAWrite(t *testing.T) {
	t.Parallel()
	server := func(severity, code string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: "in its language", SeverityUnlocalized: severity, Code: code})
	}
	for _, c := range []struct {
		err       error
		untouched bool
	}{
		{server("ERROR", "40001"), true},
		{server("FATAL", "57P01"), false},
		{server("PANIC", "53100"), false},
		{server("", "53100"), false},
		{notSent{server("FATAL", "28P01")}, true},
		{errors.New("unexpected EOF"), false},
		{errNotReplicated, false},
	} {
		if got := errors.Is(describe("write", c.err), otp.ErrNotApplied); got != c.untouched {
			t.Errorf("%v: untouched %t, want %t", c.err, got, c.untouched)
		}
	}
}

// A session that pimsd has not set up shows itself by its mark, which is missing or was reset. Other errors of the same codes say nothing of it.
func TestErrorsOfUnmarkedSessions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, message string
		want          bool
	}{
		{"42704", `unrecognized configuration parameter "pimsd.session"`, true},
		{"42704", `type "cats" does not exist`, false},
		{"22P02", `invalid input syntax for type boolean: ""`, true},
		{"22P02", `invalid input syntax for type bigint: "x"`, false},
		{"XX000", `"pimsd.session" is not a boolean: ""`, false},
	} {
		if got := isUnmarked(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: c.code, Message: c.message})); got != c.want {
			t.Errorf("%s %s: %t, want %t", c.code, c.message, got, c.want)
		}
	}
	if isUnmarked(errors.New("unexpected EOF")) {
		t.Error("an error that is not the server's is said to be")
	}
}

func TestWhichNoticeTellsOfTheStandby(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		notice pgconn.Notice
		tells  bool
	}{
		{pgconn.Notice{SeverityUnlocalized: "WARNING", Routine: waitForStandby, Message: "in its language"}, true},
		{pgconn.Notice{SeverityUnlocalized: "WARNING"}, true},
		{pgconn.Notice{SeverityUnlocalized: "WARNING", Routine: "CheckMyDatabase"}, false},
		{pgconn.Notice{SeverityUnlocalized: "NOTICE"}, false},
	} {
		if got := saysNotReplicated(&c.notice); got != c.tells {
			t.Errorf("%+v: %t", c.notice, got)
		}
	}
}

// A pooler that gives each transaction another session shows itself by statements that are known already, or not at all. What is said names
// it and the setting that helps.
func TestAdviceOnATransactionPooler(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"42P05", "26000", "08P01"} {
		text := explain(fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: "ERROR", Code: code, Message: "in its words"})).Error()
		for _, want := range []string{"pooler", "pool_mode = session", "database_url", "in its words"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s\nwant %q in it", code, text, want)
			}
		}
	}
}
