package errcodes

import "net/http"

func invalidSMSCode() Entry {
	return Entry{
		Code: InvalidSMSCode, Type: pimsError, Label: "The sms code is invalid",
		Causes: []Cause{{ReasonSMSCodeRefused, http.StatusUnprocessableEntity, false, AdviceEnroll, "inWebo refuses the SMS code"}},
		Wire:   []string{"NOK:CODE"},
		Caller: "The code is mistyped, older than 15 minutes or used already. Ask for it again, or have a new one sent by the " +
			"brand's app or by the backend's own call to the vendor: pimsd cannot order one. Do not try codes out: an account " +
			"locks after about twenty activations.",
		Operator: "Nothing to repair in pimsd. Check that the code was sent to the person of this account, and is the latest.",
		Source:   fromWire,
	}
}

func passwordReused() Entry {
	return Entry{
		Code: PasswordReused, Type: pimsError, Label: "inwebo: the new password equals the previous one",
		Causes: []Cause{
			{
				ReasonPINReused, http.StatusConflict, false, AdviceOperator,
				"inWebo says that a new PIN equals the one before, though no call of pimsd changes a PIN",
			},
		},
		Wire:     []string{"NOK:PINREUSED"},
		Caller:   "Not expected. Report the `transactionId` to the operator.",
		Operator: "Not expected: inWebo answers another question than the one that it was asked. Report it.",
		Source:   fromWire,
	}
}

func quotaReached() Entry {
	return Entry{
		Code: QuotaReached, Type: pimsError, Label: "StrongID document quoata reached",
		Causes: []Cause{
			{
				ReasonTooManyDevices, http.StatusConflict, false, AdviceGiveUp,
				"inWebo allows the account no further device or SMS activation",
			},
			{
				ReasonSMSActivationsUsedUp, http.StatusConflict, false, AdviceOperator,
				"pimsd makes no further SMS activation, so that inWebo does not lock the account; nothing was sent",
			},
			{
				ReasonQuotaUsedUp, http.StatusTooManyRequests, true, AdviceRetry,
				"the account has used up its OTPs of 24 hours; no PIN was tried",
			},
		},
		Wire: []string{"NOK:MAXNBTOOLS"},
		Caller: "At 429 wait as long as `Retry-After` says, which may be hours, and ask for an OTP only when an operation needs one. " +
			"At 409 do not enroll again. The person removes devices that are no longer used, in the brand's app or through its " +
			"support, and asks the operator how many SMS activations the account has left.",
		Operator: "At 429 look for a client that asks again and again. `PIMSD_QUOTA_OTPS_PER_DAY` mirrors a limit of inWebo: raise " +
			"it only when inWebo allows more. At 409 do not go on enrolling: every try costs one of about twenty activations. " +
			"`pimsd account show` says how many were tried; `pimsd enroll --force` makes one more than " +
			"`PIMSD_SMS_ACTIVATIONS_REFUSE_AT` allows.",
		Source: fromWire,
	}
}

func alreadyEnrolled() Entry {
	return Entry{
		Code: AlreadyEnrolled, Type: pimsError, Label: "StrongID enrollment already exists",
		Causes: []Cause{
			{ReasonAlreadyEnrolled, http.StatusConflict, false, AdviceFixRequest, "the account has an enrolled device"},
			{
				ReasonDeviceTaken, http.StatusConflict, false, AdviceFixRequest,
				"another account has the device that is to be imported",
			},
		},
		Caller: "Nothing is to be done: ask for an OTP. Only a device that inWebo no longer accepts needs to be replaced: " +
			"order an SMS code and enroll with `?replace=true`. The present device stays until the new one is stored.",
		Operator: "Enroll again only when the device is lost: each enrollment costs one of about twenty SMS activations. On the command line " +
			"it is `pimsd enroll --replace`.",
		Source: fromContract,
	}
}
