package errcodes

import "net/http"

func noInternet() Entry {
	return Entry{
		Code: NoInternet, Type: outputError, Label: "Network problem : No internet", WithPIN: true,
		Causes: []Cause{
			{
				ReasonInweboUnreachable, http.StatusBadGateway, false, AdviceRetry,
				"inWebo cannot be reached, fails in TLS, cuts the connection or answers HTTP 5xx",
			},
			{
				ReasonInweboCircuitOpen, http.StatusBadGateway, true, AdviceRetry,
				"inWebo has failed so often that pimsd leaves it alone for a while; no PIN was tried",
			},
			{
				ReasonActivationLost, http.StatusBadGateway, false, AdviceEnroll,
				"an answer to the enrollment is lost, after which inWebo may have spent the SMS code",
			},
			{ReasonInweboLate, http.StatusGatewayTimeout, false, AdviceRetry, "inWebo does not answer in time"},
		},
		Caller: "The person's own network is fine: it is pimsd that does not reach inWebo. Wait as long as `Retry-After` says, or " +
			"some seconds where there is none, and try again a few times at most: an attempt whose answer was lost may have " +
			"counted. When the reason is `activation_lost`, do not repeat the call: ask how the account stands, and if it has no device, " +
			"enroll again with a new SMS code.",
		Operator: "Check the way from pimsd to `PIMSD_INWEBO_URL`: DNS, firewall, proxy, trusted certificates; the log line names " +
			"the stage that failed. When all accounts are concerned and the way is free, inWebo is down: wait. An account whose " +
			"answer was lost is in doubt until its next OTP, which mends it.",
		Source: fromWire,
	}
}

func versionError() Entry {
	return Entry{
		Code: VersionError, Type: pimsError, Label: "inwebo: version error", WithPIN: true,
		Causes: []Cause{{ReasonVersionRefused, http.StatusBadGateway, false, AdviceOperator, "inWebo refuses the version that pimsd presents"}},
		Wire:   []string{"NOK:VERSION"},
		Caller: "Only the operator can repair this. Show a general failure with the `transactionId`, and do not repeat it.",
		Operator: "Set the version that the brand's present app presents to inWebo, and `PIMSD_INWEBO_PATH` when that app speaks to " +
			"another path. All accounts are concerned.",
		Source: fromWire,
	}
}
