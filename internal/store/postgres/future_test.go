package postgres

import "testing"

// Lines that were from the future are looked at again when the first of them is not any more.
func TestFutureLinesThatHaveCome(t *testing.T) {
	t.Parallel()
	var f futureLines
	if f.hasCome(1000) || f.last() != 0 {
		t.Errorf("without lines from the future, the last is %d", f.last())
	}
	f.add([]lineAge{{ID: 7, At: 500}, {ID: 8, At: 300}, {ID: 9, At: 400}})
	if f.hasCome(299) || f.last() != 9 {
		t.Errorf("before the first has come, the last is %d", f.last())
	}
	if !f.hasCome(300) || f.last() != 0 || f.hasCome(1000) {
		t.Errorf("when the first has come, the last is %d", f.last())
	}
}
