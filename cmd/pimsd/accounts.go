package main

import (
	"cmp"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// printAccounts writes a table, an account a line.
func printAccounts(w io.Writer, all []otp.Status) error {
	table := newTable(w, "ACCOUNT\tSTATE\tDOUBT\tBLOCKED\tSERVICE\tDEVICE\tENROLLED\tLAST OTP\tLEFT\tWRONG PINS\tSMS CODES")
	for _, s := range all {
		printRow(table, accountName(s.Account), stateWord(s), orDash(s.DoubtSince), s.Blocking,
			cmp.Or(s.Service, "-"), cmp.Or(s.DeviceName, "-"), orDash(s.EnrolledAt), orDash(s.LastOTPAt), left(s), wrongPINs(s), activations(s))
	}
	return table.Flush()
}

// printAccount writes what is known of one account, a fact a line.
func printAccount(w io.Writer, s otp.Status) error {
	table := newTable(w, "")
	for _, fact := range [][2]string{
		{"account", accountName(s.Account)},
		{"state", stateWord(s)},
		{"in doubt since", orDash(s.DoubtSince)},
		{"blocked at inWebo, as last seen", string(s.Blocking)},
		{"services", strings.Join(s.Services, ", ")},
		{"service for OTPs", s.Service},
		{"device name", s.DeviceName},
		{"enrolled", orDash(s.EnrolledAt)},
		{"last OTP", orDash(s.LastOTPAt)},
		{"OTPs left now", left(s)},
		{"wrong PINs since the last success", wrongPINs(s)},
		{"SMS activations tried", activations(s)},
		{"ratchet step", strconv.FormatUint(s.Step, 10)},
		{"unfinished enrollment", string(s.Enrollment)},
		{"answers kept that could not be read", unread(s)},
	} {
		if fact[1] != "" {
			printRow(table, fact[0], fact[1])
		}
	}
	return table.Flush()
}

func stateWord(s otp.Status) string {
	if s.Disabled {
		return string(s.State) + ", disabled"
	}
	return string(s.State)
}

func orDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

func left(s otp.Status) string {
	if s.OTPsLeft == nil {
		return "no quota"
	}
	return strconv.Itoa(*s.OTPsLeft)
}

func unread(s otp.Status) string {
	if s.UnreadAnswers == 0 {
		return ""
	}
	return strconv.Itoa(s.UnreadAnswers) + " (pimsd account reread " + word(s.Account) + ")"
}

func activations(s otp.Status) string {
	if s.FewLeft {
		return strconv.Itoa(s.Activations) + ", few left"
	}
	return strconv.Itoa(s.Activations)
}

func wrongPINs(s otp.Status) string {
	if s.PINLocked {
		return strconv.Itoa(s.WrongPINs) + ", locked"
	}
	return strconv.Itoa(s.WrongPINs)
}
