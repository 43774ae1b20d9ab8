package api_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// What docs/contract.md §2 says of every cause of the domain: HTTP status, code and label. Where it has a Retry-After, the
// cause comes as a Wait of 1.2 s, unless it says otherwise.
var promised = []struct {
	cause      error
	status     int
	code       int
	label      string
	retryAfter string
}{
	{otp.ErrNoDevice, 404, 2312, "inwebo: device is disabled or unknown", ""},
	{otp.ErrAlreadyEnrolled, 409, 2349, "StrongID enrollment already exists", ""},
	{otp.ErrDeviceTaken, 409, 2349, "StrongID enrollment already exists", ""},
	{otp.ErrBusy, 409, 2311, "inwebo: internal state not correct", "2"},
	{otp.ErrStopping, 503, 2001, "Facade not initialized", "5"},
	{otp.ErrSealed, 500, 2006, "Core not well configured", ""},
	{otp.ErrStore, 500, 2000, "Unknown error", ""},
	{otp.ErrServiceChoice, 500, 2006, "Core not well configured", ""},
	{otp.ErrRepeatUnderWay, 409, 2005, "Duplicate command", "2"},
	{otp.ErrRepeatSpent, 409, 2005, "Duplicate command", ""},
	{otp.ErrRepeatDiffers, 422, 2102, "Invalid Idempotency-Key parameter", ""},
	{otp.ErrPINHeldBack, 429, 2308, "inwebo: access refused", "2"},
	{otp.ErrPINLocked, 423, 2308, "inwebo: access refused", ""},
	{otp.ErrActivations, 409, 2348, "StrongID document quoata reached", ""},
	{otp.ErrQuota, 429, 2348, "StrongID document quoata reached", "2"},
	{otp.ErrCircuitOpen, 502, 2202, "Network problem : No internet", "2"},
	{otp.ErrUnreachable, 502, 2202, "Network problem : No internet", ""},
	{otp.ErrLate, 504, 2202, "Network problem : No internet", ""},
	{otp.ErrNotInwebo, 500, 2006, "Core not well configured", ""},
	{otp.ErrNotUnderstood, 500, 2000, "Unknown error", ""},
	{otp.ErrUnreadable, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrNoSecret, 409, 2314, "inwebo: No service is available", ""},
	{otp.ErrNotStored, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrSuperseded, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrSecondRound, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrInDoubt, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrSMSCode, 422, 2305, "The sms code is invalid", ""},
	{otp.ErrSMSCodeFormat, 400, 2102, "Invalid smsCode parameter", ""},
	{otp.ErrSyntax, 500, 2000, "Unknown error", ""},
	{otp.ErrPINRefused, 403, 2308, "inwebo: access refused", ""},
	{otp.ErrVersion, 502, 2309, "inwebo: version error", ""},
	{otp.ErrBlocked, 423, 2310, "inwebo: account is blocked", ""},
	{otp.ErrState, 409, 2311, "inwebo: internal state not correct", ""},
	{otp.ErrTooSlow, 409, 2311, "inwebo: internal state not correct", ""},
	{otp.ErrDeviceUnknown, 404, 2312, "inwebo: device is disabled or unknown", ""},
	{
		otp.ErrNotActivated, 409, 2313,
		"inwebo: User must activate inWebo helium or inWebo Desktop Token before achieving this operation", "",
	},
	{otp.ErrDisabled, 404, 2312, "inwebo: device is disabled or unknown", ""},
	{otp.ErrNotDisabled, 409, 2311, "inwebo: internal state not correct", ""},
	{otp.ErrNoService, 409, 2314, "inwebo: No service is available", ""},
	{otp.ErrPINReused, 409, 2315, "inwebo: the new password equals the previous one", ""},
	{otp.ErrSynchroFailed, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrForbidden, 403, 2317, "inwebo: forbidden operation (due to activated state/blocked state/upgradable state)", ""},
	{otp.ErrPINFormat, 400, 2102, "Invalid pinCode parameter", ""},
	{otp.ErrTooManyDevices, 409, 2348, "StrongID document quoata reached", ""},
	{otp.ErrRefused, 500, 2000, "Unknown error", ""},
	{errors.New("unforeseen"), 500, 2000, "Unknown error", ""},
}

// undocumented are the answers of other calls: openapi.yaml does not show them for this one.
func undocumented(cause error) bool {
	return errors.Is(cause, otp.ErrAlreadyEnrolled) || errors.Is(cause, otp.ErrDeviceTaken)
}

func TestEveryCauseThroughHTTP(t *testing.T) {
	b := newBench(t)
	for _, tt := range promised {
		t.Run(tt.cause.Error(), func(t *testing.T) {
			err := fmt.Errorf("%w: a detail for the log", tt.cause)
			if tt.retryAfter == "2" {
				err = fmt.Errorf("%w: a detail for the log", &otp.Wait{Cause: tt.cause, For: 1200 * time.Millisecond})
			}
			b.domain.issue = func(context.Context) (otp.Issued, error) { return otp.Issued{}, err }

			got := b.sendUnchecked(t, request{body: aBody}, !undocumented(tt.cause))
			got.is(t, tt.status, tt.code, tt.label)
			if retry := got.header.Get("Retry-After"); retry != tt.retryAfter {
				t.Errorf("Retry-After is %q, want %q", retry, tt.retryAfter)
			}
			reason := api.LookupMapping(err)
			_, cause, _ := errcodes.ForReason(reason)
			if r, a := got.header.Get("X-Pims-Reason"), got.header.Get("X-Pims-Advice"); r != string(reason) || a != string(cause.Advice) {
				t.Errorf("the reason is %q and the advice %q, want %q and %q", r, a, reason, cause.Advice)
			}
			e := b.journal.last(t)
			if int(e.Code) != tt.code || e.Reason != reason || e.Status != tt.status || !errors.Is(e.Err, err) {
				t.Errorf("the event is %+v", e)
			}
		})
	}
}

// Every cause that the domain and authn can return has a reason of its own, which is answered, and the list above knows the
// domain's.
func TestEveryCauseHasAReason(t *testing.T) {
	listed := map[error]bool{}
	for _, p := range promised {
		listed[p.cause] = true
	}
	callers := []error{authn.ErrUnauthenticated, authn.ErrAccountMissing, authn.ErrAccountInvalid, authn.ErrAccountForbidden}
	for _, cause := range append(otp.Causes(), callers...) {
		if reason := api.LookupMapping(cause); reason == errcodes.ReasonInternalError {
			t.Errorf("%q has no reason", cause)
		}
		if reason := otp.ReasonOf(cause); reason != "" && (!listed[cause] || api.LookupMapping(cause) != reason) {
			t.Errorf("%q is %q in the audit log and %q in the answer; listed above: %t", cause, reason, api.LookupMapping(cause), listed[cause])
		}
	}
}

func TestWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		-time.Hour: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 15 * time.Minute: 900, 24*time.Hour - 1: 86400,
	} {
		if got := api.WholeSeconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}
