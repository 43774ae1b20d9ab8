package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// What seals a store is known of every schema, from before there was a record of it, too.
func TestSealingKeyOfOlderStore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := OpenOlder(dir); !errors.Is(err, otp.ErrNoStore) {
		t.Errorf("without a store: %v", err)
	}
	path, err := findOrMakeDatabase(dir)
	must(t, err)
	expect := func(key string, accounts ...otp.Account) {
		t.Helper()
		s, err := OpenOlder(dir)
		must(t, err)
		defer s.Close()
		if got, err := s.SealingKey(t.Context()); err != nil || got != key {
			t.Errorf("the sealing key is %q (%v), want %q", got, err, key)
		}
		rows, err := s.List(t.Context(), "account 0", 10)
		if err != nil || len(rows) != len(accounts) {
			t.Fatalf("the rows are %+v (%v), want those of %v", rows, err, accounts)
		}
		for i, row := range rows {
			if row.Account != accounts[i] || row.Secrets.IsEmpty() {
				t.Errorf("a row is %+v, want that of %s with its secrets", row, accounts[i])
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.SealingKey(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the sealing key, without time for it: %v", err)
		}
		if _, err := s.List(ctx, "", 10); !errors.Is(err, context.Canceled) {
			t.Errorf("the rows, without time for them: %v", err)
		}
	}
	must(t, builtIn()[:1].bringUpToDate(t.Context(), path, nil))
	must(t, withConn(t.Context(), path, standardPragmas(), func(c *conn) error {
		return c.script("INSERT INTO device VALUES ('account 0', 1, 0, NULL, x'', x'00'), ('account 1', 1, 0, NULL, x'', x'00')")
	}))
	expect("", "account 1")
	s := openWith(t, dir, builtIn())
	must(t, s.RecordSealingKey(t.Context(), "key"))
	closeStore(t, s)
	expect("key", "account 1")
}
