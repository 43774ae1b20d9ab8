package storetest

import "testing"

// The name of the sealing key is stored as it was recorded last.
func testSealingKey(t *testing.T, s Instance) {
	for _, want := range []string{"", "0011aabb", "0011aabb", "ccdd2233"} {
		if want != "" {
			must(t, s.Reader.RecordSealingKey(t.Context(), want))
		}
		s = s.Reopen(t)
		if got, err := s.Reader.SealingKey(t.Context()); err != nil || got != want {
			t.Errorf("SealingKey returns %q and %v, want %q", got, err, want)
		}
	}
}
