package errcodes

import "net/http"

func authenticationRequired() Entry {
	return Entry{
		Code: AuthenticationRequired, Type: pimsError, Label: "Need Basic Authentication (to get CVS token)",
		Causes: []Cause{
			{
				ReasonUnauthenticated, http.StatusUnauthorized, false, AdviceFixRequest,
				"the credential is missing, wrong, expired or revoked",
			},
			{
				ReasonAccountForbidden, http.StatusForbidden, false, AdviceFixRequest,
				"the credential is good, but not for this account",
			},
			{
				ReasonInsufficientScope, http.StatusForbidden, false, AdviceFixRequest,
				"the credential is good, but lacks the scope of this call",
			},
		},
		Caller: "At 401 send `Authorization: Bearer` with a valid key or a fresh token; the answer never says what was wrong with " +
			"the one that was sent. At 403 use the credential of the account, or a key with the scope that the call needs.",
		Operator: "`pimsd key create` makes a key, and shows it once. The log line has the reason that the answer withholds, in " +
			"its field `denied`. With tokens, compare issuer, audience and the two clocks.",
		Source: fromContract,
	}
}

func accessRefused() Entry {
	return Entry{
		Code: AccessRefused, Type: pimsError, Label: "inwebo: access refused", WithPIN: true,
		Causes: []Cause{
			{ReasonPINRefused, http.StatusForbidden, false, AdviceAskPIN, "inWebo refuses the PIN"},
			{
				ReasonAccessRefused, http.StatusForbidden, false, AdviceOperator,
				"inWebo refuses access before it gets the PIN, so that nothing is known of the PIN and nothing is counted",
			},
			{
				ReasonPINHeldBack, http.StatusTooManyRequests, true, AdviceRetry,
				"pimsd holds back the next guess for a while after a wrong PIN or a lost answer",
			},
			{
				ReasonPINLocked, http.StatusLocked, false, AdviceOperator,
				"pimsd forwards no more guesses, so that inWebo does not block the account, until an operator unlocks it",
			},
		},
		Wire: []string{"NOK:ACCESS"},
		Caller: "At `pin_refused` ask the person for the PIN again, and never repeat the same PIN by yourself: a few wrong ones block the " +
			"account at inWebo. An enrollment that is refused so has spent its SMS code: order a new one. At 429 no PIN was tried: wait " +
			"as long as `Retry-After` says. At `access_refused` and 423 no PIN was tried either: send the person to the operator.",
		Operator: "For `access_refused`, make sure in the brand's app that the account and its device are still active; when they are, " +
			"enroll the account again. For a 423, make sure that the person knows the PIN and that no client repeats a wrong one, then run " +
			"`pimsd account unlock`. A forgotten PIN is reset in the brand's app; enroll the account again afterwards.",
		Source: fromWire,
	}
}

func accountBlocked() Entry {
	return Entry{
		Code: AccountBlocked, Type: pimsError, Label: "inwebo: account is blocked", WithPIN: true,
		Causes: []Cause{
			{
				ReasonAccountBlocked, http.StatusLocked, false, AdviceGiveUp,
				"inWebo has blocked the account after too many wrong PINs",
			},
			{
				ReasonAccountBlocked, http.StatusLocked, false, AdviceGiveUp,
				"inWebo has locked the device after errors of its biometric key",
			},
		},
		Wire: []string{"NOK:NOK_BLOCKED", "NOK:BLOCKED", "NOK:BIOKEY"},
		Caller: "Stop trying. The person unblocks the account in the brand's app or through its support. Nothing is to be reset " +
			"here: the next request asks inWebo again.",
		Operator: "pimsd cannot unblock an account at inWebo; `pimsd account unlock` only lifts pimsd's own guard. When the " +
			"account is free again but the device is not accepted (2312, 2317), enroll it again.",
		Source: fromWire,
	}
}

func forbiddenOperation() Entry {
	return Entry{
		Code: ForbiddenOperation, Type: pimsError, WithPIN: true,
		Label: "inwebo: forbidden operation (due to activated state/blocked state/upgradable state)",
		Causes: []Cause{
			{
				ReasonForbiddenByInwebo, http.StatusForbidden, false, AdviceEnroll,
				"inWebo forbids it in the present state: not activated, blocked, or due for an upgrade",
			},
		},
		Wire: []string{"NOK:FORBIDDEN"},
		Caller: "Repeating does not help. Check in the brand's app that the account is not blocked; when it is not, the account " +
			"must be enrolled again with a new SMS code.",
		Operator: "The usual reason is a second client that uses the same device: stop it for good, then run `pimsd enroll`. When " +
			"an enrollment itself is refused so, the account is blocked, or inWebo asks for a newer version than pimsd is set " +
			"to present.",
		Source: fromWire,
	}
}
