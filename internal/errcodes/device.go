package errcodes

import "net/http"

func stateNotCorrect() Entry {
	return Entry{
		Code: StateNotCorrect, Type: pimsError, Label: "inwebo: internal state not correct", WithPIN: true,
		Causes: []Cause{
			{
				ReasonStateRefused, http.StatusConflict, false, AdviceOperator,
				"inWebo says that its state and the device's do not fit",
			},
			{
				ReasonOperationTooSlow, http.StatusConflict, false, AdviceRetry,
				"inWebo says twice that too much time has passed within one operation",
			},
			{
				ReasonDeviceBusy, http.StatusConflict, true, AdviceRetry,
				"another request holds the device for too long; no PIN was tried",
			},
			{
				ReasonAccountNotDisabled, http.StatusConflict, false, AdviceFixRequest,
				"administration over REST forgets the device of a disabled account alone",
			},
		},
		Wire: []string{"NOK:STATE", "NOK:TIMEOUT"},
		Caller: "With `Retry-After`: wait so long and repeat; ask for one OTP at a time. Without: try once more. When it stays, the " +
			"account must be enrolled again.",
		Operator: "When one account stays in it, a second client uses the same device: stop it for good, then run `pimsd enroll` " +
			"with a new SMS code. When it is many accounts, inWebo is slow: watch its latency.",
		Source: fromWire,
	}
}

func unknownDevice() Entry {
	return Entry{
		Code: UnknownDevice, Type: pimsError, Label: "inwebo: device is disabled or unknown", WithPIN: true,
		Causes: []Cause{
			{ReasonNotEnrolled, http.StatusNotFound, false, AdviceEnroll, "the account has no enrolled device"},
			{
				ReasonAccountDisabled, http.StatusNotFound, false, AdviceOperator,
				"an operator has disabled the account; its device is kept",
			},
			{ReasonDeviceUnknown, http.StatusNotFound, false, AdviceEnroll, "inWebo says that the device is disabled or unknown"},
		},
		Wire: []string{"NOK:NODEVICE"},
		Caller: "Enroll the account: have an SMS code sent by the brand's app or by the backend's own call to the vendor, for pimsd " +
			"cannot order one, and enroll with it and the PIN. When the reason is `account_disabled`, only the operator can help.",
		Operator: "`pimsd account enable` ends what `pimsd account disable` began. Check that the caller names the account that was " +
			"enrolled, letter for letter. When the device was deleted or " +
			"disabled at inWebo, run `pimsd enroll` with a new SMS code.",
		Source: fromWire,
	}
}

func activationRequired() Entry {
	return Entry{
		Code: ActivationRequired, Type: pimsError, WithPIN: true,
		Label: "inwebo: User must activate inWebo helium or inWebo Desktop Token before achieving this operation",
		Causes: []Cause{
			{
				ReasonActivationRequired, http.StatusConflict, false, AdviceGiveUp,
				"inWebo asks for another of its tokens to be activated first",
			},
		},
		Wire:   []string{"NOK:NOCA"},
		Caller: "Repeating does not help. Send the person to the brand's support.",
		Operator: "Nothing to repair in pimsd: how the account is set up at inWebo does not allow a device of this kind. The " +
			"brand's support can change it; enroll the account again afterwards.",
		Source: fromWire,
	}
}

func noService() Entry {
	return Entry{
		Code: NoService, Type: pimsError, Label: "inwebo: No service is available", WithPIN: true,
		Causes: []Cause{
			{ReasonNoService, http.StatusConflict, false, AdviceGiveUp, "inWebo has no service for which the device may make an OTP"},
			{
				ReasonNoSecret, http.StatusConflict, false, AdviceGiveUp,
				"inWebo enrolled the device without asking for its secret, so that it could make no OTP",
			},
		},
		Wire: []string{"NOK:NOSRV"},
		Caller: "Repeating does not help. Check in the brand's app that the connected services of the vehicle are active. After an " +
			"enrollment the SMS code is spent: order a new one when they are.",
		Operator: "When the services are active, enroll the account again. With several services, compare the one that is " +
			"configured with those of the device.",
		Source: fromWire,
	}
}

func postSyncFailed() Entry {
	return Entry{
		Code: PostSyncFailed, Type: pimsError, WithPIN: true,
		Label: "inwebo: the operation succeeded but it required a post-synchronization which failed",
		Causes: []Cause{
			{
				ReasonSecondRoundFailed, http.StatusBadGateway, false, AdviceRetry,
				"the second round that inWebo asked for failed after a good first one",
			},
			{
				ReasonStateNotStored, http.StatusBadGateway, false, AdviceRetry,
				"inWebo answered, but the new state could not be stored in time",
			},
			{
				ReasonAnswerUnreadable, http.StatusBadGateway, false, AdviceOperator,
				"inWebo answered, but the answer cannot be read; it is kept for a newer pimsd",
			},
			{
				ReasonDeviceInDoubt, http.StatusBadGateway, false, AdviceAskPIN,
				"inWebo refuses a device that is in doubt since an earlier answer was lost",
			},
			{
				ReasonDeviceInDoubtNoGuess, http.StatusBadGateway, false, AdviceOperator,
				"the same, and pimsd forwards no more guesses until an operator unlocks the account",
			},
			{
				ReasonDeviceLost, http.StatusBadGateway, false, AdviceEnroll,
				"inWebo finds the state of a device in doubt wrong, or forbids it: it must be enrolled again",
			},
			{
				ReasonOvertaken, http.StatusBadGateway, false, AdviceRetry,
				"inWebo answered, and a later call has used the device meanwhile",
			},
			{
				ReasonSynchronizationFailed, http.StatusBadGateway, false, AdviceRetry,
				"inWebo did what was asked, and could not synchronize the device",
			},
		},
		Wire: []string{"NOK:SYNCHROFAILED", "NOK:ACCESS, NOK:STATE and NOK:FORBIDDEN for a device that is in doubt"},
		Caller: "There is no OTP, though the attempt may have counted. Wait some seconds and try once more; when it stays, the " +
			"account must be enrolled again.",
		Operator: "See first to the store: `/readyz?verbose` says whether it can be written. Do not kill a pimsd that holds an " +
			"answer which it could not store: it goes on trying. An answer that cannot be read is kept: report it, and have a newer pimsd " +
			"read it with `pimsd account reread --all`. When one account stays in it though the PIN is right, its " +
			"device is lost: run `pimsd enroll` with a new SMS code.",
		Source: fromWire,
	}
}
