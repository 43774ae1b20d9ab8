package ratchet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// serialSeparator stands between the device id and the alea (docs/protocol.md §2).
const serialSeparator = "/_/"

// aleaBytes is the length of the alea.
const aleaBytes = 16

// Serial names a device to inWebo: device id, "/_/", alea as 32 lower-hex digits. It is drawn once for an account and
// kept permanently, because every new one costs one of the devices that the account may have.
type Serial string

// NewSerial draws an alea from random for the device deviceID, a free text without ";".
func NewSerial(deviceID string, random io.Reader) (Serial, error) {
	alea := make([]byte, aleaBytes)
	if _, err := io.ReadFull(random, alea); err != nil {
		return "", fmt.Errorf("draw the alea of a new serial: %w", err)
	}
	return ParseSerial(deviceID, hex.EncodeToString(alea))
}

// ParseSerial makes a serial of its parts as another client has drawn them.
func ParseSerial(deviceID, alea string) (Serial, error) {
	if strings.Contains(deviceID, ";") {
		return "", errors.New("a device id must not contain a semicolon, which separates the parts of a proof")
	}
	if _, err := hex.DecodeString(alea); err != nil || len(alea) != 2*aleaBytes || alea != strings.ToLower(alea) {
		return "", errors.New("an alea is 32 lower-case hex digits")
	}
	return Serial(deviceID + serialSeparator + alea), nil
}
