package api

import (
	"context"

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

// otpWithPIN gives an otpResult; or what was answered before, when it is a repeat.
func (a *API) otpWithPIN(ctx context.Context, c *call, req otpRequest) (any, error) {
	e := &c.event
	repeat, err := repeatOf(a, c, req)
	if err != nil {
		return nil, err
	}
	ask := c.ask()
	ask.Repeat = repeat
	issued, err := a.config.OTPs.IssueOTP(ctx, ask, req.PIN)
	switch {
	case err != nil:
		return nil, err
	case !issued.Kept.IsEmpty():
		e.Repeated = true
		return readKept(issued.Kept)
	}
	e.Step, e.Rounds, e.Blocked = issued.Step, issued.Rounds, issued.Blocked
	return otpResult{issued.OTP.Reveal()}, nil
}
