package api_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

const notSynchronized = "inwebo: the operation succeeded but it required a post-synchronization which failed"

// promised is the table from every cause to its answer (docs/contract.md §2). Where a row's Retry-After is 2, the cause comes as a
// Wait of 1.2 s.
var promised = []struct {
	cause      error
	status     int
	code       int
	reason     errcodes.Reason
	advice     errcodes.Advice
	label      string
	retryAfter string
}{
	{otp.ErrNoDevice, 404, 2312, "not_enrolled", "enroll", "inwebo: device is disabled or unknown", ""},
	{otp.ErrAlreadyEnrolled, 409, 2349, "already_enrolled", "fix_request", "StrongID enrollment already exists", ""},
	{otp.ErrDeviceTaken, 409, 2349, "device_taken", "fix_request", "StrongID enrollment already exists", ""},
	{otp.ErrBusy, 409, 2311, "device_busy", "retry", "inwebo: internal state not correct", "2"},
	{otp.ErrStopping, 503, 2001, "service_stopping", "retry", "Facade not initialized", "5"},
	{otp.ErrSealed, 500, 2006, "sealing_key_missing", "operator", "Core not well configured", ""},
	{otp.ErrStore, 500, 2000, "store_failed", "retry", "Unknown error", ""},
	{otp.ErrDamaged, 500, 2000, "record_unreadable", "operator", "Unknown error", ""},
	{otp.ErrServiceChoice, 500, 2006, "service_not_chosen", "operator", "Core not well configured", ""},
	{otp.ErrKeyInFlight, 409, 2005, "idempotency_in_flight", "retry", "Duplicate command", "2"},
	{otp.ErrKeySpent, 409, 2005, "idempotency_key_spent", "fix_request", "Duplicate command", ""},
	{otp.ErrKeyReused, 422, 2102, "idempotency_key_reused", "fix_request", "Invalid Idempotency-Key parameter", ""},
	{otp.ErrPINHeldBack, 429, 2308, "pin_held_back", "retry", "inwebo: access refused", "2"},
	{otp.ErrPINLocked, 423, 2308, "pin_locked", "operator", "inwebo: access refused", ""},
	{otp.ErrActivations, 409, 2348, "sms_activations_used_up", "operator", "StrongID document quoata reached", ""},
	{otp.ErrQuota, 429, 2348, "quota_used_up", "retry", "StrongID document quoata reached", "2"},
	{otp.ErrCircuitOpen, 502, 2202, "inwebo_circuit_open", "retry", "Network problem : No internet", "2"},
	{otp.ErrActivationLost, 502, 2202, "activation_lost", "enroll", "Network problem : No internet", ""},
	{otp.ErrUnreachable, 502, 2202, "inwebo_unreachable", "retry", "Network problem : No internet", ""},
	{otp.ErrLate, 504, 2202, "inwebo_late", "retry", "Network problem : No internet", ""},
	{otp.ErrNotInwebo, 500, 2006, "not_inwebo", "operator", "Core not well configured", ""},
	{otp.ErrNotUnderstood, 500, 2000, "answer_not_understood", "operator", "Unknown error", ""},
	{otp.ErrUnreadable, 502, 2316, "answer_unreadable", "operator", notSynchronized, ""},
	{otp.ErrNoSecret, 409, 2314, "no_secret", "give_up", "inwebo: No service is available", ""},
	{otp.ErrNotStored, 502, 2316, "state_not_stored", "retry", notSynchronized, ""},
	{otp.ErrSuperseded, 502, 2316, "overtaken", "retry", notSynchronized, ""},
	{otp.ErrSecondRound, 502, 2316, "second_round_failed", "retry", notSynchronized, ""},
	{otp.ErrInDoubt, 502, 2316, "device_in_doubt", "ask_pin", notSynchronized, ""},
	{refusedInDoubt(otp.ErrPINRefused, otp.ErrPINLocked), 502, 2316, "device_in_doubt_no_guess", "operator", notSynchronized, ""},
	{refusedInDoubt(otp.ErrState, nil), 502, 2316, "device_lost", "enroll", notSynchronized, ""},
	{refusedInDoubt(otp.ErrForbidden, nil), 502, 2316, "device_lost", "enroll", notSynchronized, ""},
	{refusedInDoubt(otp.ErrPINRefused, nil), 502, 2316, "device_in_doubt", "ask_pin", notSynchronized, ""},
	{otp.ErrSMSCode, 422, 2305, "sms_code_refused", "enroll", "The sms code is invalid", ""},
	{otp.ErrSMSCodeFormat, 400, 2102, "sms_code_format_refused", "fix_request", "Invalid smsCode parameter", ""},
	{otp.ErrSyntax, 500, 2000, "refusal_unknown", "operator", "Unknown error", ""},
	{otp.ErrPINRefused, 403, 2308, "pin_refused", "ask_pin", "inwebo: access refused", ""},
	{otp.ErrAccess, 403, 2308, "access_refused", "operator", "inwebo: access refused", ""},
	{otp.ErrVersion, 502, 2309, "version_refused", "operator", "inwebo: version error", ""},
	{otp.ErrBlocked, 423, 2310, "account_blocked", "give_up", "inwebo: account is blocked", ""},
	{otp.ErrState, 409, 2311, "state_refused", "operator", "inwebo: internal state not correct", ""},
	{otp.ErrTooSlow, 409, 2311, "operation_too_slow", "retry", "inwebo: internal state not correct", ""},
	{otp.ErrDeviceUnknown, 404, 2312, "device_unknown", "enroll", "inwebo: device is disabled or unknown", ""},
	{
		otp.ErrNotActivated, 409, 2313, "activation_required", "give_up",
		"inwebo: User must activate inWebo helium or inWebo Desktop Token before achieving this operation", "",
	},
	{otp.ErrDisabled, 404, 2312, "account_disabled", "operator", "inwebo: device is disabled or unknown", ""},
	{otp.ErrNotDisabled, 409, 2311, "account_not_disabled", "fix_request", "inwebo: internal state not correct", ""},
	{otp.ErrNoService, 409, 2314, "no_service", "give_up", "inwebo: No service is available", ""},
	{otp.ErrPINReused, 409, 2315, "pin_reused", "operator", "inwebo: the new password equals the previous one", ""},
	{otp.ErrSynchroFailed, 502, 2316, "synchronization_failed", "retry", notSynchronized, ""},
	{otp.ErrForbidden, 403, 2317, "forbidden_by_inwebo", "enroll", "inwebo: forbidden operation (due to activated state/blocked state/upgradable state)", ""},
	{otp.ErrPINFormat, 400, 2102, "pin_format_refused", "fix_request", "Invalid pinCode parameter", ""},
	{otp.ErrTooManyDevices, 409, 2348, "too_many_devices", "give_up", "StrongID document quoata reached", ""},
	{otp.ErrRefused, 500, 2000, "refusal_unknown", "operator", "Unknown error", ""},
	{api.ErrOverload, 503, 2001, "overloaded", "retry", "Facade not initialized", "1"},
	{api.ErrTooFast, 429, 2001, "rate_limited", "retry", "Facade not initialized", "1"},
	{authn.ErrKeysUnavailable, 503, 2001, "issuer_keys_unavailable", "retry", "Facade not initialized", "5"},
	{authn.ErrKeyLookup, 500, 2000, "store_failed", "retry", "Unknown error", ""},
	{authn.ErrUnauthenticated, 401, 2301, "unauthenticated", "fix_request", needsAuthentication, ""},
	{authn.ErrAccountForbidden, 403, 2301, "account_forbidden", "fix_request", needsAuthentication, ""},
	{api.ErrScope, 403, 2301, "insufficient_scope", "fix_request", needsAuthentication, ""},
	{authn.ErrAccountMissing, 400, 2101, "parameter_missing", "fix_request", "Missing X-Pims-Account parameter", ""},
	{authn.ErrAccountInvalid, 400, 2102, "parameter_invalid", "fix_request", "Invalid X-Pims-Account parameter", ""},
	{api.ErrNoSuchPath, 404, 2002, "no_such_path", "fix_request", "API not supported", ""},
	{api.ErrNoSuchMethod, 405, 2002, "no_such_method", "fix_request", "API not supported", ""},
	{api.ErrNoSuchKey, 404, 2002, "no_such_key", "fix_request", "API not supported", ""},
	{api.ErrContentType, 415, 2102, "content_type_invalid", "fix_request", "Invalid Content-Type parameter", ""},
	{api.ErrNotOctets, 415, 2102, "content_type_invalid", "fix_request", "Invalid Content-Type parameter", ""},
	{api.ErrContentEncoding, 415, 2102, "content_encoding_invalid", "fix_request", "Invalid Content-Encoding parameter", ""},
	{api.ErrTooLarge, 413, 2102, "body_too_large", "fix_request", "Invalid body parameter", ""},
	{api.ErrBody, 400, 2102, "body_invalid", "fix_request", "Invalid body parameter", ""},
	{api.ErrDeviceFile, 400, 2102, "device_file_invalid", "fix_request", "Invalid body parameter", ""},
	{api.ErrForeignDevice, 400, 2102, "device_file_foreign", "fix_request", "Invalid body parameter", ""},
	{api.ErrUnknownName, 400, 2102, "parameter_invalid", "fix_request", "Invalid body parameter", ""},
	{api.ErrMissing, 400, 2101, "parameter_missing", "fix_request", "Missing body parameter", ""},
	{api.ErrInvalid, 400, 2102, "parameter_invalid", "fix_request", "Invalid body parameter", ""},
	{api.ErrIdempotencyKey, 400, 2102, "parameter_invalid", "fix_request", "Invalid Idempotency-Key parameter", ""},
	{api.ErrPanic, 500, 2000, "internal_error", "operator", "Unknown error", ""},
	{errors.New("unforeseen"), 500, 2000, "internal_error", "operator", "Unknown error", ""},
}

// refusedInDoubt returns the error of a device in doubt that inWebo refuses; locked is nil while a guess of the PIN is left.
func refusedInDoubt(refusal, locked error) error {
	return errors.Join(otp.ErrInDoubt, refusal, locked)
}

// undocumented reports whether only other calls have that answer: openapi.yaml does not show it for an OTP.
func undocumented(cause error) bool {
	return slices.ContainsFunc([]error{
		otp.ErrAlreadyEnrolled, otp.ErrDeviceTaken, otp.ErrActivationLost, api.ErrNoSuchPath, api.ErrNoSuchMethod, api.ErrNoSuchKey,
	}, func(other error) bool { return errors.Is(cause, other) })
}

func TestEveryCauseThroughHTTP(t *testing.T) {
	b := newBench(t)
	for _, tt := range promised {
		t.Run(tt.cause.Error(), func(t *testing.T) {
			err := fmt.Errorf("%w: a detail for the log", tt.cause)
			if tt.retryAfter == "2" {
				err = fmt.Errorf("%w: a detail for the log", &otp.RetryAfterError{Cause: tt.cause, For: 1200 * time.Millisecond})
			}
			b.domain.issue = func(context.Context) (otp.Issued, error) { return otp.Issued{}, err }

			got := b.sendUnchecked(t, request{body: aBody}, !undocumented(tt.cause))
			got.is(t, tt.status, tt.code, tt.label)
			if retry := got.header.Get("Retry-After"); retry != tt.retryAfter {
				t.Errorf("Retry-After is %q, want %q", retry, tt.retryAfter)
			}
			if r, a := got.header.Get("X-Pims-Reason"), got.header.Get("X-Pims-Advice"); r != string(tt.reason) || a != string(tt.advice) {
				t.Errorf("the reason is %q and the advice %q, want %q and %q", r, a, tt.reason, tt.advice)
			}
			e := b.journal.last(t)
			if int(e.Code) != tt.code || e.Reason != tt.reason || e.Status != tt.status || !errors.Is(e.Err, err) {
				t.Errorf("the event is %+v", e)
			}
		})
	}
}

// The table has every cause that there is, and the catalogue nothing that the table has not: each reason is that of a cause, with the
// same code, status and advice. No two rows that share code, status and reason have different advice.
func TestTheTableOfCausesIsTheCatalogue(t *testing.T) {
	listed, reached := map[error]bool{}, map[errcodes.Reason]bool{}
	type answer struct {
		code, status int
		reason       errcodes.Reason
	}
	advice := map[answer]errcodes.Advice{}
	for _, row := range promised {
		listed[row.cause], reached[row.reason] = true, true
		entry, cause, _ := errcodes.ForReason(row.reason)
		if int(entry.Code) != row.code || cause.HTTP != row.status || cause.Advice != row.advice || cause.RetryAfter != (row.retryAfter != "") {
			t.Errorf("%v: the catalogue says %v, %+v", row.cause, entry.Code, cause)
		}
		same := answer{row.code, row.status, row.reason}
		if other, seen := advice[same]; seen && other != row.advice {
			t.Errorf("%+v comes with the advice %s and %s", same, other, row.advice)
		}
		advice[same] = row.advice
	}
	for _, cause := range append(otp.Causes(), api.OwnCauses()...) {
		if !listed[cause] {
			t.Errorf("the table has no row for %q", cause)
		}
	}
	for _, entry := range errcodes.All() {
		for _, cause := range entry.Causes {
			if !reached[cause.Reason] {
				t.Errorf("no cause has the reason %s", cause.Reason)
			}
		}
	}
}

// The audit log has the same word for a cause of the domain as the answer.
func TestTheAuditLogHasTheReasonOfTheAnswer(t *testing.T) {
	for _, cause := range otp.Causes() {
		if reason := otp.ReasonOf(cause); reason == "" || api.LookupMapping(cause) != reason {
			t.Errorf("%q is %q in the audit log and %q in the answer", cause, reason, api.LookupMapping(cause))
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
