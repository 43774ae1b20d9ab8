package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	{otp.ErrDeviceUnknown, 404, 2312, "inwebo: device is disabled or unknown", ""},
	{
		otp.ErrNotActivated, 409, 2313,
		"inwebo: User must activate inWebo helium or inWebo Desktop Token before achieving this operation", "",
	},
	{otp.ErrNoService, 409, 2314, "inwebo: No service is available", ""},
	{otp.ErrPINReused, 409, 2315, "inwebo: the new password equals the previous one", ""},
	{otp.ErrSynchroFailed, 502, 2316, "inwebo: the operation succeeded but it required a post-synchronization which failed", ""},
	{otp.ErrForbidden, 403, 2317, "inwebo: forbidden operation (due to activated state/blocked state/upgradable state)", ""},
	{otp.ErrPINFormat, 400, 2102, "Invalid pinCode parameter", ""},
	{otp.ErrTooManyDevices, 409, 2348, "StrongID document quoata reached", ""},
	{otp.ErrRefused, 500, 2000, "Unknown error", ""},
	{errors.New("nobody foresaw this"), 500, 2000, "Unknown error", ""},
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
			e := b.journal.last(t)
			if int(e.Code) != tt.code || e.Status != tt.status || !errors.Is(e.Err, err) {
				t.Errorf("the event is %+v", e)
			}
		})
	}
}

// Every cause that the domain and authn can give has a row of its own, and the list above knows the domain's.
func TestTheTableKnowsEveryCause(t *testing.T) {
	rows := map[error]int{}
	for _, v := range api.Verdicts() {
		rows[v.Cause]++
	}
	listed := map[error]bool{}
	for _, p := range promised {
		listed[p.cause] = true
	}
	callers := []error{authn.ErrUnauthenticated, authn.ErrAccountMissing, authn.ErrAccountInvalid, authn.ErrAccountForbidden}
	for _, cause := range append(otp.Causes(), callers...) {
		if rows[cause] != 1 {
			t.Errorf("%q has %d rows", cause, rows[cause])
		}
		if otp.CauseOf(cause) != nil && !listed[cause] {
			t.Errorf("%q is not in the list of what is promised", cause)
		}
	}
}

// Each row travels as the catalogue says that its code may.
func TestTheTableIsWithinTheCatalogue(t *testing.T) {
	for _, v := range api.Verdicts() {
		entry, ok := errcodes.Lookup(v.Code)
		fits := false
		for _, c := range entry.Causes {
			fits = fits || c.HTTP == v.HTTP && c.RetryAfter == v.RetryAfter
		}
		if !ok || !fits {
			t.Errorf("%q: the catalogue has no %v with %d and Retry-After %v", v.Cause, v.Code, v.HTTP, v.RetryAfter)
		}
		if always := v.HTTP == http.StatusServiceUnavailable || v.HTTP == http.StatusTooManyRequests; always && !v.RetryAfter {
			t.Errorf("%q: %d without a Retry-After", v.Cause, v.HTTP)
		}
	}
}

// Of two causes in one error, the caller is told the one that the audit log has.
func TestTheTableAgreesWithTheDomainOnTheOuterCause(t *testing.T) {
	for _, outer := range otp.Causes() {
		for _, inner := range otp.Causes() {
			err := fmt.Errorf("%w: %w", outer, inner)
			if got, want := api.Judge(err), otp.CauseOf(err); !errors.Is(got, want) {
				t.Errorf("%v: judged as %q, audited as %q", err, got, want)
				break
			}
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
