package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// Observer receives every request, once, when its answer is known. It is called on the path of the answer, from many
// goroutines.
type Observer interface {
	Observe(e Event)
}

// Event is all that a log line and the metrics have of a request. No field holds a secret, or text that a stranger chose
// before it was checked.
type Event struct {
	Transaction string // the request's UUID
	Trace       string // the trace's id, 32 hex digits; empty without tracing
	Method      string // one of HTTP's, else "other"
	Route       string // the pattern that matched, or RouteNone; never the path
	Remote      string // address of the caller: with its port, or without when a trusted proxy told it

	Caller  string // the principal's name; empty before it is known
	Account string // that a known caller asks for, entitled or not; empty when it names none that can be one

	Code       errcodes.Code   // errcodes.OK for success
	Reason     errcodes.Reason // why there is no result; empty for success
	Status     int             // of HTTP
	Duration   time.Duration   // from the request's header to the answer
	ClientGone bool            // the caller had gone before the answer

	Step    uint64 // the ratchet step that made the OTP, else 0
	Rounds  int    // that the OTP took, else 0
	Blocked bool   // the OTP was given, and inWebo blocks the account from now on

	Repeated    bool            // the answer is the one that the first call of its Idempotency-Key got
	Activations otp.Activations // of the account, as an enrollment found them; else empty

	// Denied is why the caller was refused, as far as authentication or entitlement is the cause; else empty. The answer
	// never says it.
	Denied authn.Reason

	Err   error  // why there is no result, else nil; its text is for the log, not for callers
	Stack []byte // of a panic, else nil
}

func methodName(method string) string {
	if slices.Contains([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace,
	}, method) {
		return method
	}
	return "other"
}
