package client

import (
	"fmt"
	"time"
)

// Code is a number of pimsd's catalogue, which is append-only: docs/errors.md says for each what to do. It can be the
// target of errors.Is.
type Code int

// The codes.
const (
	UnknownError           Code = 2000
	FacadeNotInitialized   Code = 2001
	APINotSupported        Code = 2002
	DuplicateCommand       Code = 2005
	CoreNotConfigured      Code = 2006
	MissingParameter       Code = 2101
	InvalidParameter       Code = 2102
	NoInternet             Code = 2202
	AuthenticationRequired Code = 2301
	InvalidSMSCode         Code = 2305
	AccessRefused          Code = 2308
	VersionError           Code = 2309
	AccountBlocked         Code = 2310
	StateNotCorrect        Code = 2311
	UnknownDevice          Code = 2312
	ActivationRequired     Code = 2313
	NoService              Code = 2314
	PasswordReused         Code = 2315
	PostSyncFailed         Code = 2316
	ForbiddenOperation     Code = 2317
	QuotaReached           Code = 2348
	EnrollmentExists       Code = 2349
)

// Error names the number.
func (c Code) Error() string { return fmt.Sprintf("pimsd: code %d", int(c)) }

// Error is an answer of pimsd that is no success, or of something before it that answers in its place.
type Error struct {
	Code          Code   // 0: the answer was not pimsd's
	Reason        Reason // the one meaning of the code that applies; empty when the answer was not pimsd's
	Advice        Advice // what to do, for a client that does not know the reason
	Label         string // the SDK's text for the code
	Status        int    // of HTTP
	TransactionID string // for those who run pimsd: it begins the id in the log
	RequestID     string
	RetryAfter    time.Duration // 0: pimsd knows of no time after which a repeat would succeed
}

// Error says the code, the label and what to look for in the log.
func (e *Error) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("pimsd: an answer that is not pimsd's (HTTP %d)", e.Status)
	}
	return fmt.Sprintf("pimsd: %d %s (%s, HTTP %d, transaction %s)", int(e.Code), e.Label, e.Reason, e.Status, e.TransactionID)
}

// Is reports whether target is the code, the reason or the advice.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case Code:
		return target == e.Code
	case Reason:
		return target == e.Reason
	case Advice:
		return target == e.Advice
	}
	return false
}
