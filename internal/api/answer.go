package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// The envelope of every answer but a document (docs/contract.md §1). There is no third.
type (
	succeeded struct {
		Transaction string `json:"transactionId"`
		Status      string `json:"status"`
		Result      any    `json:"result"`
	}
	failed struct {
		Transaction string  `json:"transactionId"`
		Status      string  `json:"status"`
		Error       failure `json:"error"`
	}
	failure struct {
		Code  errcodes.Code `json:"code"`
		Label string        `json:"label"`
	}
)

// document is a result that is answered as it is, in YAML.
type document string

// transactionLength is that of a UUID's first two groups, with the dash between them.
const transactionLength = 8 + 1 + 4

// reply is what there is to say of a call, before it has a header.
type reply struct {
	errorMapping
	contentType string
	body        []byte
}

// replyOf makes the reply of a result, or of the error when there is none. What an error says goes not into it.
func replyOf(transaction string, result any, err error) reply {
	r := reply{errorMapping: errorMapping{code: errcodes.OK, status: http.StatusOK}, contentType: "application/json"}
	short := transaction[:transactionLength]
	if err == nil {
		switch result := result.(type) {
		case document:
			r.contentType, r.body = "application/yaml; charset=utf-8", []byte(result)
		case storedReply:
			r.errorMapping, r.body = result.mapping(), []byte(result.Body)
		default:
			r.body, err = json.Marshal(succeeded{short, "SUCCEEDED", result})
		}
	}
	if err != nil {
		r.errorMapping = lookupMapping(err)
		entry, _ := errcodes.Lookup(r.code)
		//nolint:errchkjson // texts and a number do not fail
		r.body, _ = json.Marshal(failed{short, "FAILED", failure{r.code, entry.LabelFor(r.parameterOf(err))}})
	}
	return r
}

// parameterOf is what the label of the error names.
func (v errorMapping) parameterOf(err error) string {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.parameter
	}
	return v.parameter
}

// answer makes the answer of what came of the call: status, body, and in the call its header and the event's end.
func (a *API) answer(c *call, result any, err error) (status int, body []byte) {
	r := replyOf(c.event.Transaction, result, err)
	h := c.header
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", r.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", c.event.Transaction)
	if challenge := challengeFor(r.reason, err); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	if r.reason != "" {
		h.Set("X-Pims-Reason", string(r.reason))
		h.Set("X-Pims-Advice", string(r.advice))
	}
	if r.retry > 0 {
		h.Set("Retry-After", strconv.FormatInt(wholeSeconds(waitOf(err, r.retry)), 10))
	}
	if c.event.Repeated {
		h.Set("Idempotent-Replayed", "true")
	}
	if r.closes || a.closing.Load() {
		h.Set("Connection", "close")
	}
	c.event.Code, c.event.Reason, c.event.Status, c.event.Err, c.event.Denied = r.code, r.reason, r.status, err, deniedFor(err)
	return r.status, r.body
}

// challengeFor returns the WWW-Authenticate of a refused caller, or nothing. A missing credential is told from one that is not
// valid, as RFC 6750 §3.1 wants; why it is not valid is in the log alone.
func challengeFor(reason errcodes.Reason, err error) string {
	const challenge = `Bearer realm="pimsd"`
	switch reason { //nolint:exhaustive // of all others, the caller is let in
	case errcodes.ReasonUnauthenticated:
		if authn.ReasonOf(err) == authn.ReasonMissing {
			return challenge
		}
		return challenge + `, error="invalid_token"`
	case errcodes.ReasonInsufficientScope, errcodes.ReasonAccountForbidden:
		if lacking, ok := errors.AsType[*scopeError](err); ok {
			return challenge + `, error="insufficient_scope", scope="` + string(lacking.scope) + `"`
		}
		return challenge + `, error="insufficient_scope"`
	}
	return ""
}

// waitOf is how long the caller should wait: what the error says, or the estimate.
func waitOf(err error, estimate time.Duration) time.Duration {
	if w, ok := errors.AsType[*otp.RetryAfterError](err); ok {
		return w.For
	}
	if w, ok := errors.AsType[*authn.RetryAfterError](err); ok {
		return w.For
	}
	return estimate
}

// wholeSeconds rounds up; less than one is one.
func wholeSeconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}
