package errcodes

import "net/http"

func missingParameter() Entry {
	return Entry{
		Code: MissingParameter, Type: inputError, Label: "Missing [PARAMETER] parameter", WithPIN: true,
		Causes: []Cause{
			{http.StatusBadRequest, false, "a required field or header is absent, null or empty; the label names it"},
		},
		Caller:   "Send what the label names. When it is the PIN, ask the person for it.",
		Operator: "Nothing to repair in pimsd: the client sends an incomplete request.",
		Source:   fromContract,
	}
}

func invalidParameter() Entry {
	return Entry{
		Code: InvalidParameter, Type: inputError, Label: "Invalid [PARAMETER] parameter", WithPIN: true,
		Causes: []Cause{
			{http.StatusBadRequest, false, "a field or header has the wrong type or form, or is unknown to the call; the label names it"},
			{http.StatusBadRequest, false, "the body cannot be read as one strict JSON object"},
			{http.StatusBadRequest, false, "inWebo refuses the form of the PIN or of another value that the caller gave"},
			{http.StatusRequestEntityTooLarge, false, "the body is larger than 16 KiB"},
			{http.StatusUnsupportedMediaType, false, "the Content-Type is not JSON"},
			{http.StatusUnprocessableEntity, false, "the Idempotency-Key was used before with another body, and is spent now"},
		},
		Wire: []string{"NOK:SN for a value of the caller's", "NOK:PINREFUSED"},
		Caller: "Correct what the label names; repeating the same request does not help. A PIN is a string of 4 to 8 digits, " +
			"names are case-sensitive and occur once, and the body is one JSON object in UTF-8. After a 422 take a new key.",
		Operator: "Nothing to repair in pimsd, unless a proxy in front of it rewrites bodies or headers.",
		Source:   fromWire,
	}
}
