package sqlite

import "testing"

// The proof that a write becomes durable is a write, also where a restore has left out the row that it writes.
func TestWritableAlwaysWrites(t *testing.T) {
	t.Parallel()
	s := openWith(t, oldStore(t), builtIn())
	execute(t, s, "DELETE FROM probe")
	if err := s.Writable(t.Context()); err != nil {
		t.Error(err)
	}
	if rows := value(t, s, "SELECT count(*) FROM probe WHERE at > 0"); rows != "1" {
		t.Errorf("%s rows were written, and the store counts as writable", rows)
	}
}
