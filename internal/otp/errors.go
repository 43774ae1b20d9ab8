package otp

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebo"
)

// cause is why a call did not succeed: a text for people, and the word that programs and the audit log have for it.
type cause struct {
	reason errcodes.Reason
	text   string
}

func (c *cause) Error() string { return c.text }

func newCause(reason errcodes.Reason, text string) error { return &cause{reason, text} }

// Why a call did not succeed.
var (
	// ErrNoDevice means that the account has no enrolled device.
	ErrNoDevice = newCause(errcodes.ReasonNotEnrolled, "no device is enrolled")
	// ErrDisabled means that an operator has disabled the account.
	ErrDisabled = newCause(errcodes.ReasonAccountDisabled, "the account is disabled")
	// ErrNotDisabled means that the account must be disabled first.
	ErrNotDisabled = newCause(errcodes.ReasonAccountNotDisabled, "the account is not disabled")
	// ErrAlreadyEnrolled means that the account has a device, and the request does not replace it.
	ErrAlreadyEnrolled = newCause(errcodes.ReasonAlreadyEnrolled, "a device is enrolled already")
	// ErrBusy comes with a RetryAfterError: another conversation has leased the device for too long.
	ErrBusy = newCause(errcodes.ReasonDeviceBusy, "the device is busy")
	// ErrStopping means that the service takes no more calls.
	ErrStopping = newCause(errcodes.ReasonServiceStopping, "the service is stopping")
	// ErrStore means that the store failed before inWebo was asked, or in a call that does not ask inWebo, as those of administration.
	ErrStore = newCause(errcodes.ReasonStoreFailed, "the store failed")
	// ErrDamaged means that the stored record of the account cannot be decoded, or its secrets do not open under their key. Its text is the
	// end of "the record of account … is damaged". Forget, Disable, Enable, and Enroll with Replace work on it.
	ErrDamaged = newCause(errcodes.ReasonRecordUnreadable, "is damaged")
	// ErrServiceChoice means that the device knows several services and the configuration names none of them.
	ErrServiceChoice = newCause(errcodes.ReasonServiceNotChosen, "the service to use is not configured")

	// ErrKeyInFlight comes with a RetryAfterError: the call that this one repeats is not answered yet.
	ErrKeyInFlight = newCause(errcodes.ReasonIdempotencyInFlight, "the repeated call is under way")
	// ErrKeySpent means that the answer of the call that this one repeats is not kept any more.
	ErrKeySpent = newCause(errcodes.ReasonIdempotencyKeySpent, "the key of the repeated call is spent")
	// ErrKeyReused means that another call had the same key. The key is spent with that.
	ErrKeyReused = newCause(errcodes.ReasonIdempotencyKeyReused, "another call had the same key")

	// ErrPINHeldBack comes with a RetryAfterError: the PIN is not forwarded yet.
	ErrPINHeldBack = newCause(errcodes.ReasonPINHeldBack, "the PIN is held back")
	// ErrPINLocked means that no PIN is forwarded until an operator unlocks the account or a new device is enrolled.
	ErrPINLocked = newCause(errcodes.ReasonPINLocked, "the PIN is locked")
	// ErrActivations means that no further SMS activation is made unless it is forced, because inWebo would lock the account.
	ErrActivations = newCause(errcodes.ReasonSMSActivationsUsedUp, "the SMS activations are used up")
	// ErrQuota comes with a RetryAfterError: the account's OTPs of the last 24 hours are used up.
	ErrQuota = newCause(errcodes.ReasonQuotaUsedUp, "the quota is used up")

	// ErrCircuitOpen comes with a RetryAfterError: inWebo could not be reached so often that the circuit is open, and nothing was tried.
	ErrCircuitOpen = newCause(errcodes.ReasonInweboCircuitOpen, "the circuit to inWebo is open")
	// ErrActivationLost comes with ErrUnreachable or ErrLate: inWebo has accepted an activation, or may have, and the enrollment
	// could not go on. The SMS code may be spent.
	ErrActivationLost = newCause(errcodes.ReasonActivationLost, "the activation was lost")
	// ErrUnreachable means that inWebo could not be reached, or broke off.
	ErrUnreachable = newCause(errcodes.ReasonInweboUnreachable, "inWebo is unreachable")
	// ErrLate means that inWebo, or the time of the conversation, ran out.
	ErrLate = newCause(errcodes.ReasonInweboLate, "inWebo is late")
	// ErrNotInwebo means that the host answers, but not as the inWebo service.
	ErrNotInwebo = newCause(errcodes.ReasonNotInwebo, "the host is not inWebo")
	// ErrNotUnderstood means that the answer of inWebo was not understood.
	ErrNotUnderstood = newCause(errcodes.ReasonAnswerNotUnderstood, "the answer was not understood")

	// ErrUnreadable means that inWebo answered a finalize, and the answer, which may have moved the device, could not be read.
	// It is kept.
	ErrUnreadable = newCause(errcodes.ReasonAnswerUnreadable, "the answer could not be read")

	// ErrNoSecret means that inWebo activated a device without asking for its secret: it could make no OTPs.
	ErrNoSecret = newCause(errcodes.ReasonNoSecret, "the activation has no secret")

	// ErrNotStored means that inWebo accepted, and the new state could not be stored in time.
	ErrNotStored = newCause(errcodes.ReasonStateNotStored, "the state was not stored in time")
	// ErrSuperseded means that inWebo answered, and that a later conversation has used the device meanwhile.
	ErrSuperseded = newCause(errcodes.ReasonOvertaken, "a later conversation came first")
	// ErrSecondRound means that the first round succeeded and the second, which it required, failed.
	ErrSecondRound = newCause(errcodes.ReasonSecondRoundFailed, "the second round failed")
	// ErrInDoubt means that inWebo refused a device whose stored state may lag behind.
	ErrInDoubt = newCause(errcodes.ReasonDeviceInDoubt, "refused while in doubt")
)

// errUntriedState accompanies ErrInDoubt where the device has another state, which the next proof is made with.
var errUntriedState = errors.New("the device has another state to try")

// ErrKeysChanged means that the API keys of the store have another version than the Request. Nothing was done for the caller, whose key
// may have been revoked: authenticate it, and ask again.
var ErrKeysChanged = errors.New("the API keys have changed")

// What inWebo refused with (docs/protocol.md §7).
var (
	ErrSMSCode        = newCause(errcodes.ReasonSMSCodeRefused, "refused: SMS code")
	ErrSMSCodeFormat  = newCause(errcodes.ReasonSMSCodeFormatRefused, "refused: format of the SMS code")
	ErrSyntax         = newCause(errcodes.ReasonRefusalUnknown, "refused: syntax of an argument")
	ErrPINRefused     = newCause(errcodes.ReasonPINRefused, "refused: PIN")
	ErrAccess         = newCause(errcodes.ReasonAccessRefused, "refused: access, before a PIN was sent")
	ErrVersion        = newCause(errcodes.ReasonVersionRefused, "refused: version")
	ErrBlocked        = newCause(errcodes.ReasonAccountBlocked, "refused: blocked")
	ErrState          = newCause(errcodes.ReasonStateRefused, "refused: state")
	ErrTooSlow        = newCause(errcodes.ReasonOperationTooSlow, "refused: too much time has passed")
	ErrDeviceUnknown  = newCause(errcodes.ReasonDeviceUnknown, "refused: device unknown")
	ErrNotActivated   = newCause(errcodes.ReasonActivationRequired, "refused: not activated")
	ErrNoService      = newCause(errcodes.ReasonNoService, "refused: no service")
	ErrPINReused      = newCause(errcodes.ReasonPINReused, "refused: PIN reused")
	ErrSynchroFailed  = newCause(errcodes.ReasonSynchronizationFailed, "refused: synchronization failed")
	ErrForbidden      = newCause(errcodes.ReasonForbiddenByInwebo, "refused: forbidden")
	ErrPINFormat      = newCause(errcodes.ReasonPINFormatRefused, "refused: format of the PIN")
	ErrTooManyDevices = newCause(errcodes.ReasonTooManyDevices, "refused: too many devices")
	ErrRefused        = newCause(errcodes.ReasonRefusalUnknown, "refused: not documented")
)

// Causes lists every cause, ErrSealed and ErrDeviceTaken of the store among them, for the tables that must know them all. Where an error
// has several, CauseOf returns the first in this order, after the four that it tries before all others.
func Causes() []error {
	return []error{
		ErrNoDevice, ErrDisabled, ErrNotDisabled, ErrAlreadyEnrolled, ErrDeviceTaken, ErrBusy, ErrStopping, ErrSealed, ErrDamaged,
		ErrStore, ErrServiceChoice, ErrKeyInFlight,
		ErrKeySpent, ErrKeyReused, ErrPINHeldBack, ErrPINLocked, ErrActivations, ErrQuota, ErrCircuitOpen,
		ErrActivationLost, ErrUnreachable, ErrLate, ErrNotInwebo, ErrNotUnderstood, ErrUnreadable, ErrNoSecret,
		ErrNotStored, ErrSuperseded, ErrSecondRound,
		ErrInDoubt, ErrSMSCode, ErrSMSCodeFormat, ErrSyntax, ErrPINRefused, ErrAccess, ErrVersion, ErrBlocked, ErrState, ErrTooSlow,
		ErrDeviceUnknown, ErrNotActivated, ErrNoService, ErrPINReused, ErrSynchroFailed, ErrForbidden, ErrPINFormat,
		ErrTooManyDevices, ErrRefused,
	}
}

// RetryAfterError is a cause that ends by itself: a caller that is alone and waits For is not refused for it again.
type RetryAfterError struct {
	Cause error
	For   time.Duration
}

// Error says what to wait for, and how long, in whole seconds.
func (w *RetryAfterError) Error() string {
	seconds := (w.For + time.Second - 1).Truncate(time.Second)
	return fmt.Sprintf("%v; try again in %v", w.Cause, seconds)
}

// Unwrap returns the cause.
func (w *RetryAfterError) Unwrap() error { return w.Cause }

// causeError is a cause together with the error that led to it. Its text is that of both.
type causeError struct{ cause, by error }

func (c *causeError) Error() string { return c.cause.Error() + ": " + c.by.Error() }

func (c *causeError) Unwrap() []error { return []error{c.cause, c.by} }

// wrapCause joins a cause with the error that led to it; errors.Is finds both, the cause first.
func wrapCause(cause, by error) error { return &causeError{cause, by} }

// CauseOf returns the cause of err that is to be named, or nil when there is none. Four come before all others: they say what became of the
// call, and often wrap the cause of the one exchange that led to it.
func CauseOf(err error) error {
	for _, cause := range []error{ErrSuperseded, ErrInDoubt, ErrSecondRound, ErrNotStored} {
		if errors.Is(err, cause) {
			return cause
		}
	}
	for _, cause := range Causes() {
		if errors.Is(err, cause) {
			return cause
		}
	}
	return nil
}

// ReasonOf returns the word for the cause that CauseOf returns, or nothing when there is none. A device in doubt has three words: with an
// attempt of the PIN left, without one, and after a refusal that no PIN can change and with no other state to try.
func ReasonOf(err error) errcodes.Reason {
	named, known := errors.AsType[*cause](CauseOf(err))
	switch {
	case !known:
		return ""
	case !errors.Is(named, ErrInDoubt):
		return named.reason
	case !errors.Is(err, errUntriedState) && (errors.Is(err, ErrState) || errors.Is(err, ErrForbidden)):
		return errcodes.ReasonDeviceLost
	case errors.Is(err, ErrPINLocked): // no attempt is left; the public word for one is "guess"
		return errcodes.ReasonDeviceInDoubtNoGuess
	default:
		return named.reason
	}
}

// refusalCause is docs/protocol.md §7 as far as inWebo refuses.
func refusalCause(reason inwebo.Reason) error {
	switch reason {
	case inwebo.ReasonCode:
		return ErrSMSCode
	case inwebo.ReasonSyntax:
		return ErrSyntax
	case inwebo.ReasonAccess: // a wrong PIN, except where setupFailed says otherwise; NOK:PINREFUSED below is about its format
		return ErrPINRefused
	case inwebo.ReasonVersion:
		return ErrVersion
	case inwebo.ReasonBlocked, inwebo.ReasonBiokey:
		return ErrBlocked
	case inwebo.ReasonState:
		return ErrState
	case inwebo.ReasonTimeout:
		return ErrTooSlow
	case inwebo.ReasonNoDevice:
		return ErrDeviceUnknown
	case inwebo.ReasonNotActivated:
		return ErrNotActivated
	case inwebo.ReasonNoService:
		return ErrNoService
	case inwebo.ReasonPINReused:
		return ErrPINReused
	case inwebo.ReasonSynchroFailed:
		return ErrSynchroFailed
	case inwebo.ReasonForbidden:
		return ErrForbidden
	case inwebo.ReasonPINRefused:
		return ErrPINFormat
	case inwebo.ReasonTooManyTools:
		return ErrTooManyDevices
	default:
		return ErrRefused
	}
}

// faultCause returns why an exchange brought no answer, as a cause of this package.
func faultCause(err error) error {
	switch {
	case errors.Is(err, inwebo.ErrLate):
		return wrapCause(ErrLate, err)
	case errors.Is(err, inwebo.ErrNotService):
		return wrapCause(ErrNotInwebo, err)
	case errors.Is(err, inwebo.ErrNotUnderstood):
		return wrapCause(ErrNotUnderstood, err)
	default:
		return wrapCause(ErrUnreachable, err)
	}
}

// recoverPanic runs a task whose panic must end neither the process nor what follows the task, such as the settle of an
// answer that exists nowhere else. The observer learns of the panic.
func (s *Service) recoverPanic(task string, run func()) {
	defer func() {
		if value := recover(); value != nil {
			s.observer.Panicked(task, panicError(value), debug.Stack())
		}
	}()
	run()
}

// CatchPanic calls do and returns its error. A panic of do becomes an error that names its place. It is for the goroutines of a
// store, on which the answers of other calls depend. Whether a write that panicked is stored is not known.
func CatchPanic(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%w at %s, which is a bug of pimsd", panicError(value), placeOfPanic())
		}
	}()
	return do()
}

// placeOfPanic returns the function, the file and the line of the panic that the caller, a deferred function, has recovered.
func placeOfPanic() string {
	const skip, most = 2, 32
	callers := make([]uintptr, most)
	frames := runtime.CallersFrames(callers[:runtime.Callers(skip, callers)])
	for panicking := false; ; {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime || !more {
			return fmt.Sprintf("%s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line)
		}
		panicking = panicking || inRuntime
	}
}

// panicError describes a panic: the runtime's own text, or the type of any other value, whose text may be a secret.
func panicError(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a value of type %T", value)
}
