package api

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// Why a request came to nothing before anyone below was asked, or while nobody was looking.
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
)

// verdict is what a caller is told for a cause.
type verdict struct {
	cause     error
	code      errcodes.Code
	status    int
	parameter string        // of the label, when the cause always concerns the same one
	retry     time.Duration // the answer has a Retry-After: an otp.Wait's when the error is one, else this
	closes    bool          // the answer is the last on its connection
}

const (
	// restart is about how long a replaced instance takes to be back, or another to take over.
	restart = 5 * time.Second
	// soon stands where the error says how long, and where a second is enough: the least that any caller may send is one
	// request a second, and places are free again as quickly as calls end.
	soon = time.Second
)

// on begins a row of the table.
func on(cause error, code errcodes.Code, status int) verdict {
	return verdict{cause: cause, code: code, status: status}
}

// about names the parameter that the cause always concerns.
func (v verdict) about(parameter string) verdict {
	v.parameter = parameter
	return v
}

// after gives the answer a Retry-After.
func (v verdict) after(estimate time.Duration) verdict {
	v.retry = estimate
	return v
}

// last makes the answer the last on its connection.
func (v verdict) last() verdict {
	v.closes = true
	return v
}

// verdicts is the one table from causes to codes (docs/contract.md §2). The first row that fits counts, and so the order is
// that of otp.CauseOf: what may have another cause behind it stands before.
func verdicts() []verdict {
	return slices.Concat(domainVerdicts(), callerVerdicts(), requestVerdicts())
}

func domainVerdicts() []verdict {
	return []verdict{
		on(otp.ErrInDoubt, errcodes.PostSyncFailed, http.StatusBadGateway),
		on(otp.ErrSecondRound, errcodes.PostSyncFailed, http.StatusBadGateway),
		on(otp.ErrNotStored, errcodes.PostSyncFailed, http.StatusBadGateway),
		on(otp.ErrSuperseded, errcodes.PostSyncFailed, http.StatusBadGateway),

		on(otp.ErrNoDevice, errcodes.UnknownDevice, http.StatusNotFound),
		on(otp.ErrAlreadyEnrolled, errcodes.AlreadyEnrolled, http.StatusConflict),
		on(otp.ErrDeviceTaken, errcodes.AlreadyEnrolled, http.StatusConflict),
		on(otp.ErrBusy, errcodes.StateNotCorrect, http.StatusConflict).after(soon),
		on(otp.ErrStopping, errcodes.FacadeNotInitialized, http.StatusServiceUnavailable).after(restart).last(),
		on(otp.ErrSealed, errcodes.CoreNotConfigured, http.StatusInternalServerError),
		on(otp.ErrStore, errcodes.UnknownError, http.StatusInternalServerError),
		on(otp.ErrServiceChoice, errcodes.CoreNotConfigured, http.StatusInternalServerError),

		on(otp.ErrRepeatUnderWay, errcodes.DuplicateCommand, http.StatusConflict).after(soon),
		on(otp.ErrRepeatSpent, errcodes.DuplicateCommand, http.StatusConflict),
		on(otp.ErrRepeatDiffers, errcodes.InvalidParameter, http.StatusUnprocessableEntity).about(repeatHeader),

		on(otp.ErrPINHeldBack, errcodes.AccessRefused, http.StatusTooManyRequests).after(soon),
		on(otp.ErrPINLocked, errcodes.AccessRefused, http.StatusLocked),
		on(otp.ErrActivations, errcodes.QuotaReached, http.StatusConflict),
		on(otp.ErrQuota, errcodes.QuotaReached, http.StatusTooManyRequests).after(soon),

		on(otp.ErrCircuitOpen, errcodes.NoInternet, http.StatusBadGateway).after(soon),
		on(otp.ErrUnreachable, errcodes.NoInternet, http.StatusBadGateway),
		on(otp.ErrLate, errcodes.NoInternet, http.StatusGatewayTimeout),
		on(otp.ErrNotInwebo, errcodes.CoreNotConfigured, http.StatusInternalServerError),
		on(otp.ErrNotUnderstood, errcodes.UnknownError, http.StatusInternalServerError),
		on(otp.ErrUnreadable, errcodes.PostSyncFailed, http.StatusBadGateway),
		on(otp.ErrNoSecret, errcodes.NoService, http.StatusConflict),

		on(otp.ErrSMSCode, errcodes.InvalidSMSCode, http.StatusUnprocessableEntity),
		on(otp.ErrSMSCodeFormat, errcodes.InvalidParameter, http.StatusBadRequest).about("smsCode"),
		on(otp.ErrSyntax, errcodes.UnknownError, http.StatusInternalServerError),
		on(otp.ErrPINRefused, errcodes.AccessRefused, http.StatusForbidden),
		on(otp.ErrVersion, errcodes.VersionError, http.StatusBadGateway),
		on(otp.ErrBlocked, errcodes.AccountBlocked, http.StatusLocked),
		on(otp.ErrState, errcodes.StateNotCorrect, http.StatusConflict),
		on(otp.ErrDeviceUnknown, errcodes.UnknownDevice, http.StatusNotFound),
		on(otp.ErrNotActivated, errcodes.ActivationRequired, http.StatusConflict),
		on(otp.ErrNoService, errcodes.NoService, http.StatusConflict),
		on(otp.ErrPINReused, errcodes.PasswordReused, http.StatusConflict),
		on(otp.ErrSynchroFailed, errcodes.PostSyncFailed, http.StatusBadGateway),
		on(otp.ErrForbidden, errcodes.ForbiddenOperation, http.StatusForbidden),
		on(otp.ErrPINFormat, errcodes.InvalidParameter, http.StatusBadRequest).about("pinCode"),
		on(otp.ErrTooManyDevices, errcodes.QuotaReached, http.StatusConflict),
		on(otp.ErrRefused, errcodes.UnknownError, http.StatusInternalServerError),
	}
}

// callerVerdicts are about what a caller may, before the body is looked at.
func callerVerdicts() []verdict {
	return []verdict{
		on(errOverload, errcodes.FacadeNotInitialized, http.StatusServiceUnavailable).after(soon),
		on(errTooFast, errcodes.FacadeNotInitialized, http.StatusTooManyRequests).after(soon),
		on(authn.ErrKeysUnavailable, errcodes.FacadeNotInitialized, http.StatusServiceUnavailable).after(restart),
		on(authn.ErrUnauthenticated, errcodes.AuthenticationRequired, http.StatusUnauthorized),
		on(authn.ErrAccountMissing, errcodes.MissingParameter, http.StatusBadRequest).about(accountHeader),
		on(authn.ErrAccountInvalid, errcodes.InvalidParameter, http.StatusBadRequest).about(accountHeader),
		on(authn.ErrAccountForbidden, errcodes.AuthenticationRequired, http.StatusForbidden),
		on(errScope, errcodes.AuthenticationRequired, http.StatusForbidden),
	}
}

// requestVerdicts are about the request itself.
func requestVerdicts() []verdict {
	return []verdict{
		on(errNoSuchPath, errcodes.APINotSupported, http.StatusNotFound),
		on(errNoSuchMethod, errcodes.APINotSupported, http.StatusMethodNotAllowed),
		on(errContentType, errcodes.InvalidParameter, http.StatusUnsupportedMediaType).about("Content-Type"),
		on(errContentEncoding, errcodes.InvalidParameter, http.StatusUnsupportedMediaType).about("Content-Encoding"),
		on(errTooLarge, errcodes.InvalidParameter, http.StatusRequestEntityTooLarge).about("body"),
		on(errBody, errcodes.InvalidParameter, http.StatusBadRequest).about("body"),
		on(errUnknownName, errcodes.InvalidParameter, http.StatusBadRequest), // these three come with their parameter
		on(errMissing, errcodes.MissingParameter, http.StatusBadRequest),
		on(errInvalid, errcodes.InvalidParameter, http.StatusBadRequest),
		on(errRepeatKey, errcodes.InvalidParameter, http.StatusBadRequest).about(repeatHeader),
		on(errPanic, errcodes.UnknownError, http.StatusInternalServerError),
	}
}

// judge gives the first verdict that fits err. What none fits, nobody foresaw.
func judge(table []verdict, err error) verdict {
	for _, v := range table {
		if errors.Is(err, v.cause) {
			return v
		}
	}
	return on(err, errcodes.UnknownError, http.StatusInternalServerError)
}
