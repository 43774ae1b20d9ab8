package otp

import (
	"strings"
	"testing"
	"time"
)

// TestBefore: no name lies between an account's and the one that is returned for it.
func TestBefore(t *testing.T) {
	t.Parallel()
	for account, want := range map[Account]Account{
		"":        "",
		"b":       Account("a" + strings.Repeat("~", 127)),
		"ab":      Account("aa" + strings.Repeat("~", 126)),
		"ab\x20":  "ab",
		"ab!":     Account("ab " + strings.Repeat("~", 125)),
		"account": Account("accouns" + strings.Repeat("~", 121)),
	} {
		if got := account.Before(); got != want {
			t.Errorf("before %q: %q, want %q", account, got, want)
		}
	}
}

// TestLeasedAt: a lease is over at its end, and at once if it would last longer than any lease can.
func TestLeasedAt(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]bool{-1: false, 0: false, 1: true, MaxLease: true, MaxLease + 1: false} {
		r := Record{Lease: &Lease{Until: epoch.Add(left)}}
		if got := r.LeasedAt(epoch); got != want {
			t.Errorf("with %v left, it is leased: %v, want %v", left, got, want)
		}
	}
	if (&Record{}).LeasedAt(epoch) {
		t.Error("a record without a lease is leased")
	}
}
