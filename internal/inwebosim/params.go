package inwebosim

import (
	"net/url"
	"slices"
	"strings"
)

// The err texts of section 7 that the service comes to by itself; a fault can answer any other.
const (
	errOK         = "OK"
	errCode       = "NOK:CODE"
	errSyntax     = "NOK:SN"
	errAccess     = "NOK:ACCESS"
	errBlocked    = "NOK:NOK_BLOCKED"
	errNoDevice   = "NOK:NODEVICE"
	errNoService  = "NOK:NOSRV"
	errForbidden  = "NOK:FORBIDDEN"
	errPINRefused = "NOK:PINREFUSED"
	errTimeout    = "NOK:TIMEOUT"
	errMaxTools   = "NOK:MAXNBTOOLS"

	errSynchroFailed = "NOK:SYNCHROFAILED" // the operation was done
)

// The actions and modes of section 1.
const (
	actionSetup    = "ActionSetup"
	actionFinalize = "ActionFinalize"
	modeActivate   = "activate"
	modeMS         = "ms"
	modeOTP        = "otp"
)

// proofsOf are the proofs of a finalize.
func proofsOf(p url.Values) proofs {
	return proofs{r0: p.Get("R0"), r1: p.Get("R1"), r2: p.Get("R2")}
}

// wellFormed reports whether a request carries, once each and well spelt, the parameters that section 1
// gives to its action and mode.
func wellFormed(p url.Values) bool {
	for _, values := range p {
		if len(values) != 1 {
			return false
		}
	}
	action, mode := p.Get("action"), p.Get("mode")
	for _, name := range required(action, mode) {
		if !p.Has(name) || !wellSpelt(name, p.Get(name)) {
			return false
		}
	}
	return mode == modeActivate || p.Get("id") != ""
}

// required are the parameters that each request has to carry, `ack` though it is empty.
func required(action, mode string) []string {
	names := []string{"id", "lastsync", "macid"}
	if mode != modeMS {
		names = append(names, "version")
	}
	switch mode {
	case modeActivate:
		names = append(names, "code")
	case modeOTP:
		names = append(names, "sid")
	}
	if action != actionFinalize {
		return names
	}
	names = append(names, "R0", "R1", "R2")
	switch mode {
	case modeActivate:
		return append(names, "lang", "ack", "serial", "Kma", "pin", "name")
	case modeMS:
		return append(names, "ms_n")
	default:
		return append(names, "lang", "ack", "keytype")
	}
}

func wellSpelt(name, value string) bool {
	switch name {
	case "macid":
		return isLowerHex(value, 32)
	case "R0", "R1", "R2":
		return isLowerHex(value, 64)
	case "Kma", "pin":
		return isLowerHex(value, 2*rsaBytes)
	case "lastsync", "ms_n":
		return isDigits(value)
	case "keytype":
		return value == "0"
	case "version":
		host, library, found := strings.Cut(value, "/")
		return found && host != "" && library != ""
	case "serial":
		return isSerial(value)
	case "ack":
		return value == ""
	case "lang", "sid", "name":
		return value != ""
	}
	return true
}

// isSerial reports whether text is deviceId "/_/" alea, the deviceId free text without ";" (section 2).
func isSerial(text string) bool {
	cut := strings.LastIndex(text, "/_/")
	return cut > 0 && !strings.Contains(text, ";") && isLowerHex(text[cut+len("/_/"):], 32)
}

// isCode reports whether text looks like an SMS code; section 7 says that a malformed one is NOK:SN,
// nothing says what well-formed is.
func isCode(text string) bool {
	return len(text) >= 4 && len(text) <= 16 && strings.IndexFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// isPIN reports whether the service takes text for a PIN: 4 to 8 digits.
func isPIN(text string) bool { return len(text) >= 4 && len(text) <= 8 && isDigits(text) }

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// hasOperation reports whether the service has that operation.
func hasOperation(action, mode string) bool {
	switch action {
	case actionSetup:
		return slices.Contains([]string{modeActivate, modeOTP}, mode)
	case actionFinalize:
		return slices.Contains([]string{modeActivate, modeMS, modeOTP}, mode)
	}
	return false
}
