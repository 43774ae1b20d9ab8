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
