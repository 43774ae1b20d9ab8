package api

import (
	"context"

	"github.com/pimsd/pimsd/internal/secret"
)

// otpRequest and otpResult are those of the main call (contract.md §1).
type (
	otpRequest struct {
		Action string      `json:"action" validate:"required,eq=withPIN"`
		PIN    secret.Text `json:"pinCode" validate:"required,number,min=4,max=8"`
	}
	otpResult struct {
		OTP string `json:"otp"`
	}
)

func (a *API) otpWithPIN(ctx context.Context, c *call, req otpRequest) (otpResult, error) {
	e := &c.event
	issued, err := a.config.OTPs.IssueOTP(ctx, c.ask(), req.PIN)
	if err != nil {
		return otpResult{}, err
	}
	e.Step, e.Rounds, e.Blocked = issued.Step, issued.Rounds, issued.Blocked
	return otpResult{issued.OTP.Reveal()}, nil
}
