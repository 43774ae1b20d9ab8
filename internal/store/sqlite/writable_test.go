package sqlite

import "testing"

// The proof that a write becomes durable is a write, also where a restore has left out the row that it writes.
func TestWritableAlwaysWrites(t *testing.T) {
	t.Parallel()
	s := openWith(t, oldStore(t), builtIn())
	if _, err := s.db.ExecContext(t.Context(), "DELETE FROM probe"); err != nil {
		t.Fatal(err)
	}
	if err := s.Writable(t.Context()); err != nil {
		t.Error(err)
	}
	var rows int
	if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM probe WHERE at > 0").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows were written (%v), and the store counts as writable", rows, err)
	}
}
