package config_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pimsd/pimsd/internal/config"
)

// goodDatabases are understood by the driver and by config.
func goodDatabases() []string {
	return []string{
		"postgres://user:pass@host/db",
		"postgresql://user:pass@host:5432/db?sslmode=verify-full",
		"postgres:///db",
		"postgres:///db?host=/var/run/postgresql",
		"postgres://user@%2Fvar%2Frun%2Fpostgresql/db",
		"postgres://user:p%25%23%2F%40%20w@host/db",
		"postgres://user:a?b@host/db",
		"postgres://one:5432,two:5433/db?target_session_attrs=read-write",
		"postgres://user:pass@[::1]:5432,[2001:db8::1]/db",
		"postgres://one,two,three",
		"host=/var/run/postgresql dbname=db",
		"host=one,two port=5432,5433 user=user password='p w' dbname=db",
		`user = user password = 'it\'s # and % and \\' host=h`,
		`password=a\ b host=h`,
		"host=h\nuser=user\n",
	}
}

// refusedDatabases have a mistake that hides a password where a driver looks for a host, and would show it.
func refusedDatabases() map[string]string {
	return map[string]string{
		"postgres://user:50%@host/db":         "percent-encoded",
		"postgres://user:50%zz@host/db":       "percent-encoded",
		"postgres://user:pa#hidden@host/db":   "percent-encoded",
		"postgres://user:pa/hidden@host/db":   "percent-encoded",
		"postgres://user:12/hidden@host/db":   "percent-encoded",
		"postgres://user:pa@hidden@host/db":   "percent-encoded",
		"postgres://user:pa hidden@host/db":   "percent-encoded",
		"postgres://host:hidden/db":           "port",
		"postgres://user:pass@host:0/db":      "port",
		"postgres://user:pass@host:65536/db":  "port",
		"postgres://user:pass@[::1/db":        "[::1]",
		"postgres://user:hidden\n@host/db":    "line break",
		"postgres://user:pass@host/db?hidden": "parameter",
		"host=h password=pa hidden":           "quote a value with blanks",
		"host=h password='pa hidden":          "quote a value with blanks",
		"mysql://user:hidden@host/db":         "postgres://user:password@host:5432/database",
		"hidden":                              "postgres://user:password@host:5432/database",
	}
}

func TestDatabaseForms(t *testing.T) {
	t.Parallel()
	for _, url := range goodDatabases() {
		if got, err := config.ParseDatabaseURL(url); err != nil || got.Reveal() != url {
			t.Errorf("%q: %v", url, err)
		}
		if _, err := pgconn.ParseConfig(url); err != nil {
			t.Errorf("the driver refuses %q: %v", url, err)
		}
	}
	if got, err := config.ParseDatabaseURL(""); err != nil || !got.IsEmpty() {
		t.Errorf("no database: %v", err)
	}
	for url, want := range refusedDatabases() {
		_, err := config.ParseDatabaseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: the error is %v, want one that says %q", url, err, want)
		}
	}
}

// Of what has the form of one, everything that the driver accepts is accepted, but for characters that show where a password was
// not percent-encoded.
func FuzzDatabaseURL(f *testing.F) {
	for _, url := range goodDatabases() {
		f.Add(url)
	}
	for url := range refusedDatabases() {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		_, err := config.ParseDatabaseURL(url)
		if err == nil || strings.Contains(err.Error(), "is neither a URL") || strings.ContainsAny(url, "#@ \t") || strings.ContainsFunc(url, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return
		}
		if _, errDriver := pgconn.ParseConfig(url); errDriver == nil {
			t.Errorf("the driver accepts %q: %v", url, err)
		}
	})
}
