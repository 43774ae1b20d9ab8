package errcodes

// Reason is why a call failed, in one word for programs: the header X-Pims-Reason, the log, the audit log. The SDK's codes have
// several meanings each; a reason has one. Reasons are append-only, as codes are.
type Reason string

// Advice is what a client can do that does not know the reason: the header X-Pims-Advice. It is one of these:
//
//   - retry: repeat the request unchanged, after Retry-After where there is one
//   - ask_pin: ask the person for the PIN
//   - enroll: enroll the account, with a new SMS code
//   - operator: only the operator of pimsd can help
//   - fix_request: the client must send something else
//   - give_up: the brand's app or its support must help
type Advice string

// The reasons. The entry of the code says the rest.
const (
	ReasonInternalError          Reason = "internal_error"
	ReasonAnswerNotUnderstood    Reason = "answer_not_understood"
	ReasonRefusalUnknown         Reason = "refusal_unknown"
	ReasonStoreFailed            Reason = "store_failed"
	ReasonRecordUnreadable       Reason = "record_unreadable"
	ReasonServiceStopping        Reason = "service_stopping"
	ReasonOverloaded             Reason = "overloaded"
	ReasonIssuerKeysUnavailable  Reason = "issuer_keys_unavailable"
	ReasonRateLimited            Reason = "rate_limited"
	ReasonNoSuchPath             Reason = "no_such_path"
	ReasonNoSuchMethod           Reason = "no_such_method"
	ReasonNoSuchKey              Reason = "no_such_key"
	ReasonIdempotencyInFlight    Reason = "idempotency_in_flight"
	ReasonIdempotencyKeySpent    Reason = "idempotency_key_spent"
	ReasonNotInwebo              Reason = "not_inwebo"
	ReasonServiceNotChosen       Reason = "service_not_chosen"
	ReasonSealingKeyMissing      Reason = "sealing_key_missing"
	ReasonParameterMissing       Reason = "parameter_missing"
	ReasonParameterInvalid       Reason = "parameter_invalid"
	ReasonBodyInvalid            Reason = "body_invalid"
	ReasonDeviceFileInvalid      Reason = "device_file_invalid"
	ReasonDeviceFileForeign      Reason = "device_file_foreign"
	ReasonPINFormatRefused       Reason = "pin_format_refused"
	ReasonSMSCodeFormatRefused   Reason = "sms_code_format_refused"
	ReasonBodyTooLarge           Reason = "body_too_large"
	ReasonContentTypeInvalid     Reason = "content_type_invalid"
	ReasonContentEncodingInvalid Reason = "content_encoding_invalid"
	ReasonIdempotencyKeyReused   Reason = "idempotency_key_reused"
	ReasonInweboUnreachable      Reason = "inwebo_unreachable"
	ReasonActivationLost         Reason = "activation_lost"
	ReasonInweboCircuitOpen      Reason = "inwebo_circuit_open"
	ReasonInweboLate             Reason = "inwebo_late"
	ReasonUnauthenticated        Reason = "unauthenticated"
	ReasonAccountForbidden       Reason = "account_forbidden"
	ReasonInsufficientScope      Reason = "insufficient_scope"
	ReasonSMSCodeRefused         Reason = "sms_code_refused"
	ReasonPINRefused             Reason = "pin_refused"
	ReasonAccessRefused          Reason = "access_refused"
	ReasonPINHeldBack            Reason = "pin_held_back"
	ReasonPINLocked              Reason = "pin_locked"
	ReasonVersionRefused         Reason = "version_refused"
	ReasonAccountBlocked         Reason = "account_blocked"
	ReasonStateRefused           Reason = "state_refused"
	ReasonOperationTooSlow       Reason = "operation_too_slow"
	ReasonDeviceBusy             Reason = "device_busy"
	ReasonNotEnrolled            Reason = "not_enrolled"
	ReasonAccountDisabled        Reason = "account_disabled"
	ReasonAccountNotDisabled     Reason = "account_not_disabled"
	ReasonDeviceUnknown          Reason = "device_unknown"
	ReasonActivationRequired     Reason = "activation_required"
	ReasonNoService              Reason = "no_service"
	ReasonNoSecret               Reason = "no_secret"
	ReasonPINReused              Reason = "pin_reused"
	ReasonSecondRoundFailed      Reason = "second_round_failed"
	ReasonStateNotStored         Reason = "state_not_stored"
	ReasonAnswerUnreadable       Reason = "answer_unreadable"
	ReasonDeviceInDoubt          Reason = "device_in_doubt"
	ReasonDeviceInDoubtNoGuess   Reason = "device_in_doubt_no_guess"
	ReasonDeviceLost             Reason = "device_lost"
	ReasonOvertaken              Reason = "overtaken"
	ReasonSynchronizationFailed  Reason = "synchronization_failed"
	ReasonForbiddenByInwebo      Reason = "forbidden_by_inwebo"
	ReasonTooManyDevices         Reason = "too_many_devices"
	ReasonSMSActivationsUsedUp   Reason = "sms_activations_used_up"
	ReasonQuotaUsedUp            Reason = "quota_used_up"
	ReasonAlreadyEnrolled        Reason = "already_enrolled"
	ReasonDeviceTaken            Reason = "device_taken"
)

// ForReason returns the entry and the cause of a reason. It reports false when the catalogue has none, as for the empty one.
func ForReason(reason Reason) (Entry, Cause, bool) {
	for _, entry := range All() {
		for _, cause := range entry.Causes {
			if cause.Reason == reason {
				return entry, cause, true
			}
		}
	}
	return Entry{}, Cause{}, false
}
