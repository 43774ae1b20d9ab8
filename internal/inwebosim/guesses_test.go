package inwebosim

import (
	"errors"
	"testing"
)

// withPIN is a simulator with one account that has the PIN 2468 and the SMS code 222222.
func withPIN(t *testing.T) *Simulator {
	t.Helper()
	return started(t, Options{Accounts: []Account{{Login: "old", PIN: "2468", Codes: []Code{{Value: "222222"}}}}})
}

func guesses(t *testing.T, s *Simulator) AccountState {
	t.Helper()
	got, err := s.AccountState("old")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// activateWith activates a new device with that PIN and code and returns what it ended with.
func activateWith(t *testing.T, s *Simulator, pin, code string) string {
	t.Helper()
	c := newClient(t, s)
	c.pin = pin
	return errText(c.activate(code))
}

func TestWrongPINOfAnActivationCounts(t *testing.T) {
	s := withPIN(t)
	for i, want := range []string{"NOK:ACCESS", "NOK:ACCESS", "NOK:NOK_BLOCKED"} {
		if got := activateWith(t, s, "1357", "999999"); got != "NOK:CODE" {
			t.Errorf("a wrong code: %s", got)
		}
		if got := activateWith(t, s, "1357", "222222"); got != want {
			t.Errorf("wrong PIN %d: %s, want %s", i+1, got, want)
		}
	}
	if got := guesses(t, s); !got.Blocked || got.Guesses != (Guesses{InARow: 3, Peak: 3, Wrong: 3}) || got.Devices != 0 {
		t.Errorf("%+v", got)
	}
	if got := activateWith(t, s, "2468", "222222"); got != "NOK:NOK_BLOCKED" {
		t.Errorf("the right PIN of a blocked account: %s", got)
	}
	if err := s.UnblockAccount("old"); err != nil {
		t.Fatal(err)
	}
	if got := activateWith(t, s, "2468", "222222"); got != "OK" {
		t.Errorf("the right PIN of an account that was unblocked: %s", got)
	}
}

// TestGuessesOfDeviceAndActivation: they are one row, and a success ends it.
func TestGuessesOfDeviceAndActivation(t *testing.T) {
	s := withPIN(t)
	c := newClient(t, s)
	c.pin = "2468"
	if err := c.activate("222222"); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, c, "1357", "NOK:ACCESS")
	if got := activateWith(t, s, "1357", "222222"); got != "NOK:ACCESS" {
		t.Fatal(got)
	}
	mustVerify(t, s, c)
	if got := guesses(t, s).Guesses; got != (Guesses{InARow: 0, Peak: 2, Wrong: 2}) {
		t.Errorf("after a success: %+v", got)
	}
	for _, pin := range []string{"1357", "1358"} {
		if got := activateWith(t, s, pin, "222222"); got != "NOK:ACCESS" {
			t.Fatal(got)
		}
	}
	mustRefuse(t, c, "1359", "NOK:NOK_BLOCKED")
	mustRefuse(t, c, "2468", "NOK:NOK_BLOCKED")
	if !expectedState(t, s, c).Blocked {
		t.Error("the truth does not say that the device is blocked")
	}
	if err := s.Unblock(c.id); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, s, c)
}

// TestAccountWithoutPINCountsNoGuesses: there each device counts for itself.
func TestAccountWithoutPINCountsNoGuesses(t *testing.T) {
	s := started(t, Options{})
	c := enrolled(t, s)
	mustRefuse(t, c, "0000", "NOK:ACCESS")
	if got, err := s.AccountState("demo"); err != nil || got.Guesses != (Guesses{}) || got.Devices != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.AccountState("x"); !errors.Is(err, ErrUnknownAccount) {
		t.Error(err)
	}
	if err := s.UnblockAccount("x"); !errors.Is(err, ErrUnknownAccount) {
		t.Error(err)
	}
}
