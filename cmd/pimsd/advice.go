package main

import (
	"cmp"
	"errors"

	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/errcodes"
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
	_, known, _ := errcodes.ForReason(otp.ReasonOf(cause))
	return known.Command
}

const adviceAsLeft = "Name the file as the client left it: otp.bin, or …_otp.pickle."

type advice struct {
	cause  error
	advice string
}

// advices has one for each cause that the catalog has none for.
func advices() []advice {
	return []advice{
		{devicefile.ErrNotActivated, "There is nothing to take over: enroll a device with: pimsd enroll ACCOUNT"},
		{devicefile.ErrForeign, adviceAsLeft},
		{devicefile.ErrEmpty, adviceAsLeft},
		{devicefile.ErrArchive, "Unpack it, and name the file of the device in it: otp.bin, or …_otp.pickle."},
		{devicefile.ErrMalformed, adviceAsLeft},
		{devicefile.ErrTooLarge, adviceAsLeft},
		{devicefile.ErrCalls, "No client saves such a file: do not load it with anything else either, for that would run its code."},
		{devicefile.ErrOtherPIN, "Type the PIN that the other client uses, or leave it out to take the one in the file."},
		{seal.ErrCurrentKeyMissing, "Put the right key file back, or set seal.keys to the lines that the store was sealed with; " +
			"pimsd seal list shows which keys its records need."},
		{otp.ErrSyntax, "inWebo finds a value of pimsd's own malformed: check inwebo.macid and inwebo.version."},
	}
}
