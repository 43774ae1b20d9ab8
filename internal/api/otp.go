package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// otpRequest and otpResult are those of the main call (docs/contract.md §1).
type (
	otpRequest struct {
		Action string      `json:"action" validate:"required,eq=withPIN"`
		PIN    secret.Text `json:"pinCode" validate:"required,number,min=4,max=8"`
	}
	otpResult struct {
		OTP string `json:"otp"`
	}
)

// otpWithPIN returns an otpResult; or what was answered before, when it is a repeat.
func (a *API) otpWithPIN(ctx context.Context, c *call, req otpRequest) (any, error) {
	e := &c.event
	repeat, err := idempotentCall(a, c, req)
	if err != nil {
		return nil, err
	}
	if c.queuedAt.IsZero() {
		c.queuedAt = time.Now()
	}
	ask := c.domainRequest()
	ask.Idempotency, ask.KeysVersion, ask.QueuedAt = repeat, otp.KeysVersion(c.recalled), c.queuedAt
	issued, err := a.config.Accounts.IssueOTP(ctx, ask, req.PIN)
	if errors.Is(err, otp.ErrKeysChanged) {
		if err = a.confirm(c); err == nil {
			ask.KeysVersion = 0
			issued, err = a.config.Accounts.IssueOTP(ctx, ask, req.PIN)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case !issued.StoredResponse.IsEmpty():
		e.Repeated = true
		stored, err := readStoredReply(issued.StoredResponse)
		if err == nil && stored.Status == http.StatusOK {
			c.setQuotaHeaders(issued.Allowance)
		}
		return stored, err
	}
	c.setQuotaHeaders(issued.Allowance)
	e.Step, e.Rounds, e.Blocked = issued.Step, issued.Rounds, issued.Blocked
	return otpResult{issued.OTP.Reveal()}, nil
}

// setQuotaHeaders sets the headers of draft-ietf-httpapi-ratelimit-headers-11: the quota's policy, what is left, and in how many
// seconds one more is. They describe the moment of the answer, which in a repeat is not that of the OTP.
func (c *call) setQuotaHeaders(a otp.Allowance) {
	if a.PerDay == 0 {
		return
	}
	c.header.Set("RateLimit-Policy", fmt.Sprintf(`"otps";q=%d;w=86400`, a.PerDay))
	c.header.Set("RateLimit", fmt.Sprintf(`"otps";r=%d;t=%d`, a.Left, int64((a.Renews+time.Second-1)/time.Second)))
}
