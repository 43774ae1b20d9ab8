package main

import (
	"cmp"
	"errors"

	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// advised is an error that comes with its own advice.
type advised struct {
	error
	advice string
}

func (a advised) Unwrap() error { return a.error }

// adviceFor says what a person can do about an error; empty when its text says it.
func adviceFor(err error) string {
	if own, ok := errors.AsType[advised](err); ok {
		return own.advice
	}
	cause := cmp.Or(otp.CauseOf(err), err)
	for _, a := range advices() {
		if errors.Is(cause, a.cause) {
			return a.advice
		}
	}
	return ""
}

const adviceAsLeft = "Name the file as the client left it: otp.bin, or …_otp.pickle."

type advice struct {
	cause  error
	advice string
}

// advices has one for each cause that a command can meet.
func advices() []advice { return append(fileAdvices(), otpAdvices()...) }

func fileAdvices() []advice {
	return []advice{
		{devicefile.ErrNotActivated, "There is nothing to take over: enroll a device with: pimsd enroll ACCOUNT"},
		{devicefile.ErrForeign, adviceAsLeft},
		{devicefile.ErrEmpty, adviceAsLeft},
		{devicefile.ErrArchive, "Unpack it, and name the file of the device in it: otp.bin, or …_otp.pickle."},
		{devicefile.ErrMalformed, adviceAsLeft},
		{devicefile.ErrTooLarge, adviceAsLeft},
		{devicefile.ErrCalls, "No client saves such a file: do not load it with anything else either, for that would run its code."},
		{devicefile.ErrOtherPIN, "Type the PIN that the other client uses, or leave it out to take the one in the file."},
	}
}

func otpAdvices() []advice {
	return []advice{
		{otp.ErrInDoubt, "An earlier answer of inWebo was lost. Try once more; if it is refused again, enroll the device again."},
		{otp.ErrSecondRound, "inWebo went on, and the device has what it needs. Ask again."},
		{otp.ErrNotStored, "Look after the store, then ask again: the device may be in doubt."},
		{otp.ErrUnreadable, "The answer is kept, sealed, and the device is in doubt. Report it; a newer pimsd may read it: " +
			"pimsd account reread ACCOUNT"},
		{otp.ErrSuperseded, "Another call has used the device meanwhile. Ask again."},
		{otp.ErrNoDevice, "Enroll one with: pimsd enroll ACCOUNT\nIf the name is misspelled: pimsd account list has all names."},
		{otp.ErrDisabled, "An operator has disabled the account. When its calls may go on: pimsd account enable ACCOUNT"},
		{otp.ErrNotDisabled, "Disable it first: pimsd account disable ACCOUNT"},
		{otp.ErrAlreadyEnrolled, "To enroll again, add --replace; the present device stays until the new one is stored."},
		{otp.ErrDeviceTaken, "Two accounts of one device tear its keys apart. Use the account that has it (pimsd account list), " +
			"or remove it there first: pimsd account forget"},
		{otp.ErrBusy, "Another call is using the device, or its process has died: wait as long as it says, and try again."},
		{otp.ErrStopping, "Try again."},
		{seal.ErrCurrentKeyMissing, "Put the right key file back, or set seal.keys to the lines that the store was sealed with; " +
			"pimsd seal list shows which keys its records need."},
		{otp.ErrSealed, "Add the key that the record was sealed with to seal.keys or seal.keys_file; pimsd seal list shows which are there."},
		{otp.ErrDamaged, "Make its device again, with a new SMS code: pimsd enroll ACCOUNT --replace\n" +
			"If the account is disabled, before that: pimsd account enable ACCOUNT\n" +
			"Or remove what is left of it: pimsd account forget ACCOUNT"},
		{otp.ErrStore, "Look after the store: its disk, its database, and whether this user may write to it. Nothing was sent to inWebo."},
		{otp.ErrActivations, "pimsd makes no more of them than sms_activations.refuse_at, for inWebo locks the account after about 20. " +
			"To make one all the same, add --force."},
		{otp.ErrQuota, "inWebo gives about 6 OTPs in 24 hours; pimsd keeps to quota.otps_per_day."},
		{otp.ErrPINHeldBack, "After a wrong PIN, or a lost answer, pimsd waits before it forwards another PIN."},
		{otp.ErrPINRefused, "Mind the PIN: inWebo blocks the account at the third wrong one."},
		{otp.ErrAccess, "inWebo refused before it got the PIN, so no attempt is counted. Check in the brand's app that the account and " +
			"its device are active, and enroll again."},
		{otp.ErrPINLocked, "pimsd forwards no more PINs, so that inWebo does not block the account. Make sure of the PIN, then: " +
			"pimsd account unlock ACCOUNT"},
		{otp.ErrBlocked, "The account is blocked at inWebo: unblock it in the brand's app or with its support."},
		{otp.ErrSMSCode, "Order a new SMS code (it lives for 15 minutes) and call again."},
		{otp.ErrSMSCodeFormat, "Type the SMS code as it came, without blanks."},
		{otp.ErrTooManyDevices, "Remove a device of the account in the brand's app, then order a new SMS code and call again."},
		{otp.ErrDeviceUnknown, "inWebo does not know the device any more: enroll it again."},
		{otp.ErrPINFormat, "A PIN has 4 to 8 digits."},
		{otp.ErrPINReused, "inWebo answers another question than it was asked. Report it."},
		{otp.ErrVersion, "inWebo finds inwebo.version too old: set a newer one."},
		{otp.ErrState, "Try once more. When it stays, another client may be using the device: stop that for good, and enroll again."},
		{otp.ErrTooSlow, "inWebo finds that the call took too long. Try once more. When it stays, look at the latency of inWebo."},
		{otp.ErrForbidden, "The account may be blocked, or another client be using the device: check the account in the brand's app, stop the " +
			"other client for good, and enroll again."},
		{otp.ErrNotActivated, "inWebo wants another of its tokens to be activated first: ask the brand's support."},
		{otp.ErrNoService, "Check in the brand's app that the connected services of the vehicle are active."},
		{otp.ErrNoSecret, "inWebo has no service for OTPs of the account: check in the brand's app that its connected services are active."},
		{otp.ErrSynchroFailed, "Try once more; if it fails again, enroll the device again."},
		{otp.ErrServiceChoice, "The account has several services: set inwebo.service to the id or the name of the one to use."},
		{otp.ErrNotInwebo, "Check inwebo.url and inwebo.path."},
		{otp.ErrActivationLost, "The SMS code may be spent: order a new one, and call again. Check inwebo.url, the network and the proxy."},
		{otp.ErrUnreachable, "Check inwebo.url, the network and the proxy."},
		{otp.ErrCircuitOpen, "inWebo could not be reached several times in a row: check inwebo.url, the network and the proxy, and wait."},
		{otp.ErrLate, "inWebo is slow, or the network is: try again later."},
		{otp.ErrNotUnderstood, "Try once more. When it stays, inWebo has changed, or something on the way rewrites its answers: report it."},
		{otp.ErrRefused, "inWebo refuses for a reason that is not documented. Report it."},
		{otp.ErrSyntax, "inWebo finds a value of pimsd's own malformed: check inwebo.macid and inwebo.version."},
	}
}
