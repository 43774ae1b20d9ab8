package sqlite

import (
	"bytes"
	"database/sql"
	"strings"
	"testing"
)

// A reader that does not end keeps the log from being written over, and the condition says so. Without one, the log does not grow.
func TestALogThatAReaderKeeps(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	s.health.maxLog = 1 << 20
	revision := uint64(0)
	write := func() {
		revision++
		w := benchWrite(1, revision)
		w.Row.Body = bytes.Repeat([]byte{byte(revision)}, 400<<10)
		c := replacing(w)
		if revision == 1 {
			c = creating(w)
		}
		if errs := together(s, c); errs[0] != nil {
			t.Fatal(errs[0])
		}
		writeBack(t, s)
	}
	for range 5 {
		write()
	}
	if c := s.Condition(t.Context()); c.LogIsKept || len(c.Notes()) != 0 {
		t.Errorf("without a reader: %+v", c)
	}
	reader, err := s.db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var accounts int
	if err := reader.QueryRowContext(t.Context(), "SELECT count(*) FROM device").Scan(&accounts); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		write()
	}
	c := s.Condition(t.Context())
	if !c.LogIsKept || !strings.Contains(strings.Join(c.Notes(), ""), "a reader keeps it") {
		t.Errorf("while a reader keeps the log: %+v", c)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		write()
	}
	if got := s.Condition(t.Context()).LogBytes; got > c.LogBytes+1<<20 {
		t.Errorf("without the reader the log has grown from %d to %d bytes", c.LogBytes, got)
	}
}
