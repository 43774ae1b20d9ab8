package api

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// The enrollment calls (docs/contract.md §4). An SMS code is what inWebo takes for one: inWebo decides about its form.
type (
	smsCodeRequest struct {
		Action string      `json:"action" validate:"required,eq=enrollment"`
		Code   secret.Text `json:"smsCode" validate:"required,printascii,max=64"`
	}
	smsCodeResult struct {
		Status string `json:"status"`
	}
	enrollRequest struct {
		Action string      `json:"action" validate:"required,eq=enroll"`
		PIN    secret.Text `json:"pinCode" validate:"required,number,min=4,max=8"`
		Code   secret.Text `json:"smsCode" validate:"required,printascii,max=64"`
	}
	// nothing is the result of a call that has none.
	nothing struct{}
)

// What inWebo answers about an account, in the SDK's words.
const (
	notEnrolled     = "NotEnrolled"
	alreadyEnrolled = "AlreadyEnrolled"
)

func (a *API) checkSMSCode(ctx context.Context, c *call, req smsCodeRequest) (smsCodeResult, error) {
	hasPIN, err := a.config.Accounts.HasPIN(ctx, c.domainRequest(), req.Code)
	if err != nil {
		return smsCodeResult{}, err
	}
	if hasPIN {
		return smsCodeResult{alreadyEnrolled}, nil
	}
	return smsCodeResult{notEnrolled}, nil
}

// enroll never forces an activation: that is an operator's decision, on the command line.
func (a *API) enroll(ctx context.Context, c *call, req enrollRequest) (nothing, error) {
	replace, err := c.flag("replace")
	if err != nil {
		return nothing{}, err
	}
	used, err := a.config.Accounts.Enroll(ctx, c.domainRequest(), otp.EnrollRequest{
		SMSCode: req.Code, PIN: req.PIN, Replace: replace,
	})
	c.event.Activations = used
	return nothing{}, err
}

// flag reads a parameter of the query that is true, false or not there.
func (c *call) flag(name string) (bool, error) {
	values := c.request.URL.Query()[name]
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) == 1 && (values[0] == "true" || values[0] == "false"):
		return values[0] == "true", nil
	default:
		return false, &fault{errInvalid, name}
	}
}
