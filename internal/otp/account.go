// Package otp decides: it issues OTPs, enrols devices, guards PINs and quotas, and remembers before it acts.
//
// One conversation with inWebo goes on for a device at a time; what it is about to do is durable before inWebo hears of
// it, and what came of it is durable before an OTP leaves. The package knows no HTTP, SQL, XML and no public codes, and
// it does not log: its errors and its Observer say what happened.
package otp

import (
	"errors"
	"strings"
)

// Account names whom a device belongs to: an opaque text of 1 to 128 printable ASCII characters that does not begin or end
// with a blank (docs/contract.md §3).
type Account string

// maxAccountLength is the longest name of an account.
const maxAccountLength = 128

// ErrAccountName means that a text cannot name an account.
var ErrAccountName = errors.New("an account is named by 1 to 128 printable ASCII characters, without a blank at either end")

// Before returns the greatest name that sorts before the account's and that no name lies between; it is empty when there is none.
func (a Account) Before() Account {
	if a == "" {
		return ""
	}
	start, last := a[:len(a)-1], a[len(a)-1]
	if last == ' ' {
		return start
	}
	return start + Account(last-1) + Account(strings.Repeat("~", maxAccountLength-len(a)))
}

// ParseAccount checks that name can name an account that may not exist yet. The error is ErrAccountName.
func ParseAccount(name string) (Account, error) {
	if strings.Trim(name, " ") != name {
		return "", ErrAccountName
	}
	return ParseStoredAccount(name)
}

// ParseStoredAccount checks that name can name an account that a store has. Earlier versions accepted blanks at the ends of a
// name; the accounts that got such names must stay within reach of commands. The error is ErrAccountName.
func ParseStoredAccount(name string) (Account, error) {
	if name == "" || len(name) > maxAccountLength {
		return "", ErrAccountName
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return "", ErrAccountName
		}
	}
	return Account(name), nil
}
