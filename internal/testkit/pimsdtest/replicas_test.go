package pimsdtest_test

import (
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// Two daemons on one store give OTPs of one device at the same time, and never talk to inWebo about it both at once.
func TestTwoDaemonsOnOneStore(t *testing.T) {
	t.Parallel()
	first := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.Conversation.QueueWait = time.Minute })
	second := first.Replica()
	alice, bob := first.Enroll("alice", aPIN), second.Enroll("bob", aPIN)
	var callers sync.WaitGroup
	for _, a := range []*pimsdtest.Account{alice, bob} {
		for _, d := range []*pimsdtest.Daemon{first, second, first, second} {
			callers.Go(func() {
				for range 10 {
					if got := a.On(d).OTP(aPIN); !a.Verify(got.OTP) {
						t.Errorf("%s", got.Body)
					}
				}
			})
		}
	}
	callers.Wait()
	for _, a := range []*pimsdtest.Account{alice, bob} {
		if expected := a.Expected(); expected.Overlaps != 0 || expected.WrongProofs != 0 || expected.MaxFinalizesPerChallenge != 1 || expected.Verified != 40 {
			t.Errorf("%s: inWebo has seen %+v", a.Name, expected.Counters)
		}
	}
}

// A daemon sees what the other has stored, enrollments too.
func TestADaemonSeesWhatTheOtherStored(t *testing.T) {
	t.Parallel()
	here := enrolled(t)
	there := here.On(here.Daemon.Replica())
	for range 5 {
		wantOTP(t, here)
		wantOTP(t, there)
	}
	there.Daemon.Enroll(here.Name, "567890")
	if got := here.OTP(aPIN); got.Code != 2308 {
		t.Errorf("the PIN before the new enrollment: %s", got.Body)
	}
	if got := here.OTP("567890"); !here.Verify(got.OTP) {
		t.Errorf("the PIN of the new enrollment: %s", got.Body)
	}
	there.Daemon.Stop()
	if got := here.OTP("567890"); !here.Verify(got.OTP) {
		t.Errorf("after the other's end: %s", got.Body)
	}
}
