package api

import (
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// Why a request failed before the domain was asked, or outside of it.
var (
	errNoSuchPath      = errors.New("there is no such path")
	errNoSuchMethod    = errors.New("the path does not have this method")
	errOverload        = errors.New("too many calls are in flight")
	errTooFast         = errors.New("the caller sends too fast")
	errScope           = errors.New("the caller lacks the scope of the call")
	errContentType     = errors.New("the content type is not JSON")
	errContentEncoding = errors.New("the body is encoded")
	errTooLarge        = errors.New("the body is too large")
	errBody            = errors.New("the body is not one strict JSON object")
	errUnknownName     = errors.New("the body has a name that the call does not know")
	errMissing         = errors.New("a field is missing")
	errInvalid         = errors.New("a field is invalid")
	errPanic           = errors.New("panic")
	errNotOctets       = errors.New("the content type is not application/octet-stream")
	errNoSuchKey       = errors.New("there is no such key for the caller")
)

// errorMapping describes the answer to an error: its public code, its status, and its headers.
type errorMapping struct {
	reason    errcodes.Reason
	code      errcodes.Code
	status    int
	advice    errcodes.Advice
	parameter string        // of the label, when the reason always concerns the same one
	retry     time.Duration // the answer has a Retry-After: an otp.Wait's when the error is one, else this
	closes    bool          // the answer is the last on its connection
}

const (
	// restart is about how long a replaced instance takes to be back, or another to take over.
	restart = 5 * time.Second
	// soon is for an error that says how long, and where a second is enough: the least that any caller may send is one
	// request a second, and places are free again as quickly as calls end.
	soon = time.Second
)

// mappingOf returns the mapping of a reason: what the catalog says, and what it does not.
func mappingOf(reason errcodes.Reason) errorMapping {
	entry, cause, _ := errcodes.ForReason(reason)
	m := errorMapping{reason: cause.Reason, code: entry.Code, status: cause.HTTP, advice: cause.Advice}
	if cause.RetryAfter {
		m.retry = soon
	}
	switch reason { //nolint:exhaustive // the catalog says all of the others
	case errcodes.ReasonIdempotencyKeyReused:
		m.parameter = idempotencyHeader
	case errcodes.ReasonSMSCodeFormatRefused:
		m.parameter = "smsCode"
	case errcodes.ReasonPINFormatRefused:
		m.parameter = "pinCode"
	case errcodes.ReasonServiceStopping:
		m.retry, m.closes = restart, true
	case errcodes.ReasonIssuerKeysUnavailable:
		m.retry = restart
	}
	return m
}

// ownCause is a cause outside of the domain, with its reason.
type ownCause struct {
	cause     error
	reason    errcodes.Reason
	parameter string // of the label; a *fault names its own
}

func ownCauses() []ownCause {
	return []ownCause{
		{errOverload, errcodes.ReasonOverloaded, ""},
		{errTooFast, errcodes.ReasonRateLimited, ""},
		{authn.ErrKeysUnavailable, errcodes.ReasonIssuerKeysUnavailable, ""},
		{authn.ErrKeyLookup, errcodes.ReasonStoreFailed, ""},
		{authn.ErrUnauthenticated, errcodes.ReasonUnauthenticated, ""},
		{authn.ErrAccountMissing, errcodes.ReasonParameterMissing, accountHeader},
		{authn.ErrAccountInvalid, errcodes.ReasonParameterInvalid, accountHeader},
		{authn.ErrAccountForbidden, errcodes.ReasonAccountForbidden, ""},
		{errScope, errcodes.ReasonInsufficientScope, ""},

		{errNoSuchPath, errcodes.ReasonNoSuchPath, ""},
		{errNoSuchMethod, errcodes.ReasonNoSuchMethod, ""},
		{errContentType, errcodes.ReasonContentTypeInvalid, "Content-Type"},
		{errNotOctets, errcodes.ReasonContentTypeInvalid, "Content-Type"},
		{errNoSuchKey, errcodes.ReasonNoSuchKey, ""},
		{ErrDeviceFile, errcodes.ReasonDeviceFileInvalid, "body"},
		{ErrForeignDevice, errcodes.ReasonDeviceFileForeign, "body"},
		{errContentEncoding, errcodes.ReasonContentEncodingInvalid, "Content-Encoding"},
		{errTooLarge, errcodes.ReasonBodyTooLarge, "body"},
		{errBody, errcodes.ReasonBodyInvalid, "body"},
		{errUnknownName, errcodes.ReasonParameterInvalid, ""},
		{errMissing, errcodes.ReasonParameterMissing, ""},
		{errInvalid, errcodes.ReasonParameterInvalid, ""},
		{errIdempotencyKey, errcodes.ReasonParameterInvalid, idempotencyHeader},
		{errPanic, errcodes.ReasonInternalError, ""},
	}
}

// lookupMapping returns the mapping of an error. A cause of the domain comes first. An error that has no mapping is an internal one.
func lookupMapping(err error) errorMapping {
	if reason := otp.ReasonOf(err); reason != "" {
		return mappingOf(reason)
	}
	for _, own := range ownCauses() {
		if errors.Is(err, own.cause) {
			m := mappingOf(own.reason)
			m.parameter = own.parameter
			return m
		}
	}
	return mappingOf(errcodes.ReasonInternalError)
}
