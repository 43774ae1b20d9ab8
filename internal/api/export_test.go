package api

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/secret"
)

// Routes returns what the listener serves.
func (a *API) Routes() chi.Routes { return a.router }

// Bound is what a body asks for, which has an action and a PIN.
type Bound struct {
	Action string      `json:"action" validate:"required"`
	PIN    secret.Text `json:"pinCode" validate:"required"`
}

// Bind reads a body, and reports whether it is one JSON object with every name once. The error is that of the call.
func Bind(body []byte) (bound Bound, isObject bool, err error) {
	read, err := readBody(&call{
		request: &http.Request{Header: http.Header{"Content-Type": {"application/json"}}}, body: secret.NewBytes(body),
	})
	if err != nil {
		return bound, false, err
	}
	bound, err = bind[Bound](newRules(), read)
	return bound, true, err
}

// The causes outside of the domain.
var (
	ErrOverload        = errOverload
	ErrTooFast         = errTooFast
	ErrScope           = errScope
	ErrNoSuchPath      = errNoSuchPath
	ErrNoSuchMethod    = errNoSuchMethod
	ErrNoSuchKey       = errNoSuchKey
	ErrContentType     = errContentType
	ErrNotOctets       = errNotOctets
	ErrContentEncoding = errContentEncoding
	ErrTooLarge        = errTooLarge
	ErrBody            = errBody
	ErrUnknownName     = errUnknownName
	ErrMissing         = errMissing
	ErrInvalid         = errInvalid
	ErrIdempotencyKey  = errIdempotencyKey
	ErrPanic           = errPanic
)

// OwnCauses returns every cause outside of the domain.
func OwnCauses() (all []error) {
	for _, own := range ownCauses() {
		all = append(all, own.cause)
	}
	return all
}

// LookupMapping returns the reason that an error is answered with.
func LookupMapping(err error) errcodes.Reason { return lookupMapping(err).reason }

// WholeSeconds is what a Retry-After says.
func WholeSeconds(d time.Duration) int64 { return wholeSeconds(d) }

// ParseIdempotencyKey reads the values of an Idempotency-Key.
func ParseIdempotencyKey(values []string) (string, error) { return parseIdempotencyKey(values) }

// ReadStoredReply reads an answer that was kept.
func ReadStoredReply(stored secret.Bytes) (any, error) { return readStoredReply(stored) }
