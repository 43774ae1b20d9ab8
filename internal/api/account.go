package api

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// accountResult is how an account stands, as last seen (docs/contract.md §4).
type accountResult struct {
	Activated   bool       `json:"isDeviceActivated"`
	Blocked     string     `json:"isAccountBlocked"`
	State       string     `json:"state"`
	Disabled    bool       `json:"disabled"`
	InDoubt     bool       `json:"inDoubt"`
	DoubtSince  *time.Time `json:"doubtSince,omitempty"`
	Service     string     `json:"service,omitempty"`
	DeviceName  string     `json:"deviceName,omitempty"`
	EnrolledAt  *time.Time `json:"enrolledAt,omitempty"`
	LastOTPAt   *time.Time `json:"lastOtpAt,omitempty"`
	OTPsLeft    *int       `json:"otpsLeft,omitempty"`
	WrongPINs   int        `json:"wrongPins"`
	PINLocked   bool       `json:"pinLocked"`
	Activations int        `json:"smsActivations"`
}

// unlockRequest asks for the PIN guard to forward guesses again.
type unlockRequest struct {
	Action string `json:"action" validate:"required,eq=unlock"`
}

// account returns the state of the account. A GET has no body to read.
func (a *API) account(c *call) (any, error) {
	if err := a.admit(c, authn.ScopeOTP); err != nil {
		return nil, err
	}
	s, err := a.config.Accounts.Status(c.request.Context(), c.domainRequest().Account)
	if err != nil {
		return nil, err
	}
	return resultOf(s), nil
}

func resultOf(s otp.Status) accountResult {
	return accountResult{
		Activated: s.Activated, Blocked: string(s.Blocking), State: string(s.State), Disabled: s.Disabled,
		InDoubt: s.InDoubt, DoubtSince: when(s.DoubtSince),
		Service: s.Service, DeviceName: s.DeviceName, EnrolledAt: when(s.EnrolledAt), LastOTPAt: when(s.LastOTPAt),
		OTPsLeft: s.OTPsLeft, WrongPINs: s.WrongPINs, PINLocked: s.PINLocked, Activations: s.Activations,
	}
}

// when is a time to the second, in UTC; nil when there is none.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func (a *API) unlock(ctx context.Context, c *call, _ unlockRequest) (nothing, error) {
	return nothing{}, a.config.Accounts.Unlock(ctx, c.domainRequest())
}

var _ Accounts = (*otp.Service)(nil)
