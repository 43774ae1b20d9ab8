package main

import (
	"bytes"
	"fmt"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// pin is the PIN of every device here.
const pin = "1234"

// profile is many devices that differ in name alone: the same keys under other ids, serials and accounts. Each is what one
// real device was after its enrollment and its first OTP.
type profile struct {
	Name  string           `json:"name"` // 4 lower-hex digits, other ones for each fleet
	Count int              `json:"count"`
	Of    inwebosim.Device `json:"of"`
}

// account names the account of the device i.
func (f profile) account(i int) string { return fmt.Sprintf("fleet-%s-%07d", f.Name, i) }

func (f profile) id(i int) string { return fmt.Sprintf("%s%012x", f.Name, i) }

func (f profile) serial(i int) string {
	head := f.Of.Serial[:len(f.Of.Serial)-32] // the alea is 32 hex digits at the end
	return fmt.Sprintf("%s%s%028x", head, f.Name, i)
}

// device is how the simulator knows the device i.
func (f profile) device(i int) inwebosim.Device {
	d := f.Of
	d.ID, d.Serial, d.Login = f.id(i), f.serial(i), f.account(i)
	return d
}

// row is how pimsd knows the device i, with the vault in the clear; of is how it knows the real one.
func (f profile) row(of otp.Row, i int) otp.Row {
	body := bytes.ReplaceAll(of.Body, []byte(f.Of.Serial), []byte(f.serial(i)))
	of.Body = bytes.ReplaceAll(body, []byte(f.Of.ID), []byte(f.id(i)))
	of.Account, of.Revision, of.Epoch = otp.Account(f.account(i)), 1, 1
	of.Claim = otp.Claim{Serial: f.serial(i), Active: true}
	return of
}
