package main

import (
	"errors"

	"github.com/pimsd/pimsd/internal/otp"
)

// adviceFor says what a person can do about an error of the domain; empty when its text says it.
func adviceFor(err error) string {
	for _, a := range advices() {
		if errors.Is(err, a.cause) {
			return a.advice
		}
	}
	return ""
}

type advice struct {
	cause  error
	advice string
}

// advices has one for each cause that a person can do something about; the first that fits counts.
func advices() []advice {
	return []advice{
		{otp.ErrInDoubt, "An earlier answer of inWebo was lost. Try once more; if it is refused again, enrol the device anew."},
		{otp.ErrSecondRound, "inWebo went on, and the device has what it needs. Ask again."},
		{otp.ErrNotStored, "Look after the store, then ask again: the device may be in doubt."},
		{otp.ErrNoDevice, "Enrol one with: pimsd enroll --account A"},
		{otp.ErrAlreadyEnrolled, "To enrol anew, add --replace; the present device stays until the new one is stored."},
		{otp.ErrPINRefused, "Mind the PIN: inWebo blocks the account at the third wrong one."},
		{otp.ErrPINLocked, "pimsd forwards no more PINs, so that inWebo does not block the account. Make sure of the PIN, then: " +
			"pimsd account unlock"},
		{otp.ErrBlocked, "The account is blocked at inWebo: unblock it in the brand's app or with its support."},
		{otp.ErrSMSCode, "Order a new SMS code (it lives for 15 minutes) and call again."},
		{otp.ErrSMSCodeFormat, "Type the SMS code as it came, without blanks."},
		{otp.ErrTooManyDevices, "Remove a device of the account in the brand's app, then order a new SMS code and call again."},
		{otp.ErrDeviceUnknown, "inWebo does not know the device any more: enrol it anew."},
		{otp.ErrServiceChoice, "The account has several services: set inwebo.service to the id or the name of the one to use."},
		{otp.ErrNotInwebo, "Check inwebo.url and inwebo.path."},
		{otp.ErrUnreachable, "Check inwebo.url, the network and the proxy."},
	}
}
