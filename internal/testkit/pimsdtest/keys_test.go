package pimsdtest_test

import "testing"

// The last use of a key is stored without a commit of its own, at the latest when the daemon stops.
func TestTheLastUseOfAKeyCostsNoCommit(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	unused := a.Daemon.Key("bob")
	for range 5 {
		wantOTP(t, a)
	}
	if used := a.Daemon.KeyUsed(a.Key); !used.IsZero() {
		t.Errorf("the store knows already that the key was used at %v", used)
	}
	a.Daemon.Restart()
	if used := a.Daemon.KeyUsed(a.Key); used.IsZero() {
		t.Error("the store does not know that the key was used")
	}
	if used := a.Daemon.KeyUsed(unused); !used.IsZero() {
		t.Errorf("a key that was not used was used at %v", used)
	}
}
