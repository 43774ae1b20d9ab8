package errcodes

import "net/http"

func unknownError() Entry {
	return Entry{
		Code: UnknownError, Type: genericError, Label: "Unknown error", WithPIN: true,
		Causes: []Cause{
			{ReasonInternalError, http.StatusInternalServerError, false, AdviceOperator, "an error that no other reason describes"},
			{
				ReasonAnswerNotUnderstood, http.StatusInternalServerError, false, AdviceOperator,
				"inWebo's answer is not understood: a broken or foreign document in answer to a setup",
			},
			{
				ReasonRefusalUnknown, http.StatusInternalServerError, false, AdviceOperator,
				"inWebo refuses for a reason that no code lists",
			},
			{
				ReasonStoreFailed, http.StatusInternalServerError, false, AdviceRetry,
				"the store failed before inWebo was asked; nothing was spent",
			},
			{
				ReasonRecordUnreadable, http.StatusInternalServerError, false, AdviceOperator,
				"the stored record of the account is damaged; nothing was sent to inWebo",
			},
		},
		Wire: []string{"NOK:SN for a value of pimsd's own", "NOK:SAT", "NOK:URL", "NOK:ERR1", "NOK:NOPUSH", "any that no code lists"},
		Caller: "Show a general failure together with the `transactionId`, and let the person try once more a little later; " +
			"never repeat it in a loop. When it stays, report the `transactionId` to the operator.",
		Operator: "Search the log for the transaction: its line names the cause. A failing store shows on `/readyz?verbose` as " +
			"well. An answer that is not understood, more than once, means that inWebo has changed or that something between " +
			"pimsd and inWebo rewrites answers: report it. An account whose record is damaged needs a new device: run `pimsd enroll " +
			"--replace` with a new SMS code, or `pimsd account forget` (over REST `forget`) before a device is imported or enrolled.",
		Source: fromWire,
	}
}

func facadeNotInitialized() Entry {
	return Entry{
		Code: FacadeNotInitialized, Type: genericError, Label: "Facade not initialized", WithPIN: true,
		Causes: []Cause{
			{ReasonServiceStopping, http.StatusServiceUnavailable, true, AdviceRetry, "pimsd is starting or draining"},
			{
				ReasonOverloaded, http.StatusServiceUnavailable, true, AdviceRetry,
				"pimsd is overloaded and refuses what it could not serve in time",
			},
			{
				ReasonIssuerKeysUnavailable, http.StatusServiceUnavailable, true, AdviceRetry,
				"the keys of the token issuer are out of reach",
			},
			{ReasonRateLimited, http.StatusTooManyRequests, true, AdviceRetry, "the caller exceeds its own rate limit"},
		},
		Caller: "Wait as long as `Retry-After` says and repeat the request unchanged: nothing was done and no PIN was tried. " +
			"At 429 also send less.",
		Operator: "A start or a rolling restart passes by itself. When it stays, `/readyz?verbose` says what is missing. Under " +
			"load, add replicas, or find the caller that sends too much. With tokens, check that pimsd reaches the issuer's keys.",
		Source: fromContract,
	}
}

func apiNotSupported() Entry {
	return Entry{
		Code: APINotSupported, Type: genericError, Label: "API not supported",
		Causes: []Cause{
			{ReasonNoSuchPath, http.StatusNotFound, false, AdviceFixRequest, "there is no such path"},
			{ReasonNoSuchKey, http.StatusNotFound, false, AdviceFixRequest, "there is no API key with this id among those of the caller's prefix"},
			{
				ReasonNoSuchMethod, http.StatusMethodNotAllowed, false, AdviceFixRequest,
				"the path exists, but not with this method; the header Allow names those that it has",
			},
		},
		Caller:   "Correct the path or the method: `/openapi.yaml` lists every call. Repeating does not help.",
		Operator: "Look for a proxy that rewrites paths, and for a client that is made for a newer pimsd.",
		Source:   fromContract,
	}
}

func duplicateCommand() Entry {
	return Entry{
		Code: DuplicateCommand, Type: genericError, Label: "Duplicate command",
		Causes: []Cause{
			{
				ReasonIdempotencyInFlight, http.StatusConflict, true, AdviceRetry,
				"the first request with this Idempotency-Key is still under way",
			},
			{
				ReasonIdempotencyKeySpent, http.StatusConflict, false, AdviceFixRequest,
				"this Idempotency-Key is spent: its answer is no longer kept",
			},
		},
		Caller: "With `Retry-After`: wait so long and repeat with the same key and body, which returns the answer of the first. " +
			"Without: the key is used up; take a new one, which asks for a new OTP.",
		Operator: "Nothing to repair in pimsd. When it is frequent, a client uses one key for several attempts; each attempt " +
			"needs its own.",
		Source: fromContract,
	}
}

func coreNotConfigured() Entry {
	return Entry{
		Code: CoreNotConfigured, Type: genericError, Label: "Core not well configured", WithPIN: true,
		Causes: []Cause{
			{
				ReasonNotInwebo, http.StatusInternalServerError, false, AdviceOperator,
				"the inWebo host answers, but not as the mAccess service: HTTP 3xx or 4xx, a web page, a foreign document",
			},
			{
				ReasonServiceNotChosen, http.StatusInternalServerError, false, AdviceOperator,
				"the account has several services, and inwebo.service names none",
			},
			{
				ReasonSealingKeyMissing, http.StatusInternalServerError, false, AdviceOperator,
				"the sealing key that the account's record needs is missing",
			},
		},
		Caller: "Only the operator can repair this. Show a general failure with the `transactionId`, and do not repeat it.",
		Operator: "The log line says which. Check `PIMSD_INWEBO_URL` and `PIMSD_INWEBO_PATH`, and look for a proxy or a portal " +
			"that answers in inWebo's place. A missing sealing key must be given back: without it the account's device " +
			"cannot be read.",
		Source: fromWire,
	}
}
