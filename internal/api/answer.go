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

// The envelope of every answer but a document (contract.md §1). There is no third.
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

// answer makes the answer of what came of the call: status, body, and in the call its header and the event's end.
func (a *API) answer(c *call, result any, err error) (status int, body []byte) {
	h := c.header
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", c.event.Transaction)

	status = http.StatusOK
	if text, ok := result.(document); ok && err == nil {
		h.Set("Content-Type", "application/yaml")
		body = []byte(text)
	} else if err == nil {
		body, err = json.Marshal(succeeded{c.event.Transaction[:transactionLength], "SUCCEEDED", result})
	}
	if err != nil {
		status, body = a.refuse(c, err)
	}
	if a.draining.Load() {
		h.Set("Connection", "close")
	}
	c.event.Status = status
	return status, body
}

// waitOf is how long the caller should wait: what the error says, or the estimate.
func waitOf(err error, estimate time.Duration) time.Duration {
	if w, ok := errors.AsType[*otp.Wait](err); ok {
		return w.For
	}
	if w, ok := errors.AsType[*authn.Wait](err); ok {
		return w.For
	}
	return estimate
}

// refuse makes the answer of an error. What err says goes into the event and not to the caller.
func (a *API) refuse(c *call, err error) (status int, body []byte) {
	v := judge(a.verdicts, err)
	c.event.Code, c.event.Err = v.code, err
	if v.status == http.StatusUnauthorized {
		c.header.Set("WWW-Authenticate", `Bearer realm="pimsd"`)
	}
	if v.retry > 0 {
		c.header.Set("Retry-After", strconv.FormatInt(wholeSeconds(waitOf(err, v.retry)), 10))
	}
	if v.closes {
		c.header.Set("Connection", "close")
	}
	parameter := v.parameter
	if f, ok := errors.AsType[*fault](err); ok {
		parameter = f.parameter
	}
	entry, _ := errcodes.Lookup(v.code)
	body, _ = json.Marshal(failed{ //nolint:errchkjson // texts and a number do not fail
		c.event.Transaction[:transactionLength], "FAILED", failure{v.code, entry.LabelFor(parameter)},
	})
	return v.status, body
}

// wholeSeconds rounds up; less than one is one.
func wholeSeconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}
