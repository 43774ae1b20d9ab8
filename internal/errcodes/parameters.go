package errcodes

import "net/http"

func missingParameter() Entry {
	return Entry{
		Code: MissingParameter, Type: inputError, Label: "Missing [PARAMETER] parameter", WithPIN: true,
		Causes: []Cause{
			{
				ReasonParameterMissing, http.StatusBadRequest, false, AdviceFixRequest,
				"a required field or header is absent, null or empty; the label names it",
			},
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
			{
				ReasonParameterInvalid, http.StatusBadRequest, false, AdviceFixRequest,
				"a field or header has the wrong type or form, or is unknown to the call; the label names it",
			},
			{ReasonBodyInvalid, http.StatusBadRequest, false, AdviceFixRequest, "the body cannot be read as one strict JSON object"},
			{
				ReasonDeviceFileInvalid, http.StatusBadRequest, false, AdviceFixRequest,
				"the body is no device file that can be imported; the log says why",
			},
			{
				ReasonDeviceFileForeign, http.StatusBadRequest, false, AdviceFixRequest,
				"the device in the file belongs to another white-label service than inwebo.macid",
			},
			{ReasonPINFormatRefused, http.StatusBadRequest, false, AdviceFixRequest, "inWebo refuses the form of the PIN"},
			{ReasonSMSCodeFormatRefused, http.StatusBadRequest, false, AdviceFixRequest, "inWebo refuses the form of the SMS code"},
			{
				ReasonBodyTooLarge, http.StatusRequestEntityTooLarge, false, AdviceFixRequest,
				"the body is larger than 16 KiB, or than 64 KiB for a device file",
			},
			{
				ReasonContentTypeInvalid, http.StatusUnsupportedMediaType, false, AdviceFixRequest,
				"the Content-Type is not JSON, or application/octet-stream for a device file",
			},
			{
				ReasonContentEncodingInvalid, http.StatusUnsupportedMediaType, false, AdviceFixRequest,
				"the body is compressed or otherwise encoded",
			},
			{
				ReasonIdempotencyKeyReused, http.StatusUnprocessableEntity, false, AdviceFixRequest,
				"the Idempotency-Key was used before with another body, and is spent now",
			},
		},
		Wire: []string{"NOK:SN for a value of the caller's", "NOK:PINREFUSED"},
		Caller: "Correct what the label names; repeating the same request does not help. A PIN is a string of 4 to 8 digits, " +
			"names are case-sensitive and occur once, and the body is one JSON object in UTF-8. After a 422 take a new key.",
		Operator: "Nothing to repair in pimsd, unless a proxy in front of it rewrites bodies or headers.",
		Source:   fromWire,
	}
}
