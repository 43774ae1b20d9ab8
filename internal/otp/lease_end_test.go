package otp

import (
	"testing"
	"time"
)

// TestLeasedAt: a lease is over at its end, and at once if it would last longer than any lease can.
func TestLeasedAt(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]bool{-1: false, 0: false, 1: true, MaxLease: true, MaxLease + 1: false} {
		r := Record{Lease: &Lease{Until: epoch.Add(left)}}
		if got := r.LeasedAt(epoch); got != want {
			t.Errorf("with %v left, it is leased: %v, want %v", left, got, want)
		}
	}
	longest := (&Service{}).leaseRequest(&conversation{timeout: EnrollmentDeadlines * MaxDeadline}, forOTP{}).length
	if !(&Record{Lease: &Lease{Until: epoch.Add(longest)}}).LeasedAt(epoch) {
		t.Error("the lease of the longest enrollment is over when it begins")
	}
	if (&Record{}).LeasedAt(epoch) {
		t.Error("a record without a lease is leased")
	}
}
