package api

import (
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// accountHeader is where a backend names the account that it calls for (contract.md §3).
const accountHeader = "X-Pims-Account"

// ask is who asks for whom, as the audit log tells it.
func (c *call) ask() otp.Ask {
	return otp.Ask{Account: otp.Account(c.event.Account), Caller: c.event.Caller, Transaction: c.event.Transaction}
}

// admit finds out who calls and for which account, and whether the caller may. What it finds stands in the event.
func (a *API) admit(c *call, scope authn.Scope) error {
	if a.draining.Load() {
		return otp.ErrStopping
	}
	header := c.request.Header
	credential, err := authn.ParseBearer(header.Values("Authorization"))
	if err != nil {
		return err
	}
	principal, err := a.config.Callers.Authenticate(c.request.Context(), credential)
	if err != nil {
		return err
	}
	c.event.Caller = principal.Name
	if !principal.Has(scope) {
		return errScope
	}
	c.event.Account, err = principal.ResolveAccount(header.Values(accountHeader))
	return err
}
