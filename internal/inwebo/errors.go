package inwebo

import (
	"context"
	"errors"
	"fmt"

	"github.com/pimsd/pimsd/internal/secret"
)

// How far an exchange came when it brought no answer. A *Fault is one of the two.
var (
	// ErrNeverSent says that nothing of the request left this machine: dialling, name look-up or TLS failed.
	ErrNeverSent = errors.New("the request was never sent")
	// ErrNoAnswer says that the request may have been acted upon, and no answer that can be used came back.
	ErrNoAnswer = errors.New("no answer that can be used")
)

// Why it brought none. A *Fault is one of the first six; an *Unreadable is the last.
var (
	// ErrLocal means that this machine has no file descriptors, ports or memory left for a connection. The host is not
	// at fault.
	ErrLocal = errors.New("this machine cannot make a connection")
	// ErrNetwork says that the host could not be reached, broke off, or is missing behind its gateway:
	// HTTP 502, 503 and 504.
	ErrNetwork = errors.New("inWebo could not be reached")
	// ErrServer says that the host itself failed: HTTP 5xx, but for 502, 503 and 504. It may concern one device alone.
	ErrServer = errors.New("inWebo failed")
	// ErrLate says that the time ran out.
	ErrLate = errors.New("inWebo took too long")
	// ErrNotService says that the host answers, but not as the mAccess service: HTTP 3xx or 4xx, a web page.
	ErrNotService = errors.New("the host does not answer as the inWebo service")
	// ErrNotUnderstood means that the answer to a setup was broken or foreign.
	ErrNotUnderstood = errors.New("the answer of inWebo was not understood")
	// ErrUnreadable means that inWebo answered a finalize, and the answer could not be read. It may have moved the device.
	ErrUnreadable = errors.New("the answer of inWebo could not be read")
)

// Fault is an exchange without an answer: ErrNeverSent or ErrNoAnswer, and one of the causes; errors.Is finds both.
type Fault struct {
	Exchange Exchange
	how, why error
	detail   string // our own words only
}

// newFault returns the fault of an exchange that came so far and ended with err on the network. An exchange whose context
// ended, ended because of that.
func newFault(ctx context.Context, name Exchange, how, err error) *Fault {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	why := ErrNetwork
	switch {
	case isLate(err):
		why = ErrLate
	case isLocal(err):
		why = ErrLocal
	}
	return &Fault{name, how, why, describe(err)}
}

// Error names the exchange, how far it came and why, in our own words.
func (f *Fault) Error() string {
	text := fmt.Sprintf("%s: %v: %v", f.Exchange, f.how, f.why)
	if f.detail != "" {
		text += ": " + f.detail
	}
	return text
}

// Unwrap returns how far the exchange came and why it failed.
func (f *Fault) Unwrap() []error { return []error{f.how, f.why} }

// Refusal is an answer other than OK. It is an answer all the same, and may carry new state.
type Refusal struct {
	Exchange Exchange
	Reason   Reason
	Sync     Sync
	// Unusable is the whole answer when something of its ratchet step cannot be used; Sync carries nothing of the step
	// then. It is empty when the refusal carried no step, or a usable one.
	Unusable secret.Bytes
}

// Error names the reason, never the answer.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: inWebo refused: %s", r.Exchange, r.Reason) }

// GoString is Error: what the answer carried is not printed, whatever the verb.
func (r *Refusal) GoString() string { return r.Error() }

// Reason is why inWebo refused (docs/protocol.md §7).
type Reason string

// The reasons that are known, by their names on the wire.
const (
	ReasonCode          Reason = "CODE"
	ReasonSyntax        Reason = "SN"
	ReasonAccess        Reason = "ACCESS"
	ReasonVersion       Reason = "VERSION"
	ReasonBlocked       Reason = "BLOCKED"
	ReasonState         Reason = "STATE"
	ReasonNoDevice      Reason = "NODEVICE"
	ReasonNotActivated  Reason = "NOCA"
	ReasonNoService     Reason = "NOSRV"
	ReasonPINReused     Reason = "PINREUSED"
	ReasonSynchroFailed Reason = "SYNCHROFAILED"
	ReasonForbidden     Reason = "FORBIDDEN"
	ReasonPINRefused    Reason = "PINREFUSED"
	ReasonTimeout       Reason = "TIMEOUT"
	ReasonTooManyTools  Reason = "MAXNBTOOLS"
	ReasonBiokey        Reason = "BIOKEY"
	// ReasonUnknown represents every name that is not documented.
	ReasonUnknown Reason = "a reason that is not documented"
)

// reasonOf reads the part of err behind "NOK:".
func reasonOf(name string) Reason {
	switch r := Reason(name); r {
	case "NOK_BLOCKED": // as the server spells it
		return ReasonBlocked
	case ReasonCode, ReasonSyntax, ReasonAccess, ReasonVersion, ReasonBlocked, ReasonState, ReasonNoDevice,
		ReasonNotActivated, ReasonNoService, ReasonPINReused, ReasonSynchroFailed, ReasonForbidden, ReasonPINRefused,
		ReasonTimeout, ReasonTooManyTools, ReasonBiokey:
		return r
	default:
		return ReasonUnknown
	}
}
