package otp

import (
	"strings"
	"testing"
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
