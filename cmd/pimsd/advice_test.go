package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/otp"
)

// Whatever a command fails with, a person is told what to do, and of two causes about the one that the audit log has.
func TestEveryCauseHasItsAdvice(t *testing.T) {
	t.Parallel()
	overHTTP := []error{otp.ErrKeyInFlight, otp.ErrKeySpent, otp.ErrKeyReused}
	ofFiles := []error{
		devicefile.ErrNotActivated, devicefile.ErrForeign, devicefile.ErrOtherPIN, devicefile.ErrCalls, devicefile.ErrMalformed, devicefile.ErrTooLarge,
	}
	for _, cause := range append(otp.Causes(), ofFiles...) {
		advice := adviceFor(fmt.Errorf("a detail: %w", cause))
		if !slices.Contains(overHTTP, cause) && !strings.HasSuffix(advice, ".") && !strings.Contains(advice, "pimsd ") {
			t.Errorf("%q comes with the advice %q", cause, advice)
		}
	}
	for _, outer := range otp.Causes() {
		for _, inner := range otp.Causes() {
			err := fmt.Errorf("%w: %w", outer, inner)
			if got, want := adviceFor(err), adviceFor(otp.CauseOf(err)); got != want {
				t.Errorf("%v: the advice is %q, want %q", err, got, want)
			}
		}
	}
}
