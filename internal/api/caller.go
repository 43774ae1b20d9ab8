package api

import (
	"errors"
	"io"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// accountHeader is where a backend names the account that it calls for (docs/contract.md §3).
const accountHeader = "X-Pims-Account"

// domainRequest returns the request for the domain: account, caller and transaction, as the audit log records them.
func (c *call) domainRequest() otp.Request {
	return otp.Request{Account: otp.Account(c.event.Account), Caller: c.event.Caller, Transaction: c.event.Transaction}
}

// admit finds out the caller and the account, and whether the caller may act now; what it finds is in the event. Only
// then the call takes a place.
func (a *API) admit(c *call, scope authn.Scope) error {
	header := c.request.Header.Values(accountHeader)
	principal, err := a.authenticate(c, scope, func(caller authn.Principal) string { return caller.NamedAccount(header) })
	if err != nil {
		return err
	}
	if _, err := principal.ResolveAccount(header); err != nil { // if there is none, it is the named one
		return err
	}
	return a.acquirePlace(c)
}

// noneNamed is for requests that name no account. Where such a call is refused, its line in the audit log has the account of the
// caller's key.
func noneNamed(caller authn.Principal) string { return caller.Account }

// authenticate reads the request and returns its caller. It fails when the caller lacks the scope or sends too fast. named returns the
// account that a known caller asks for, which the event has from then on, also when the caller is refused.
func (a *API) authenticate(c *call, scope authn.Scope, named func(authn.Principal) string) (authn.Principal, error) {
	if a.draining.Load() {
		return authn.Principal{}, otp.ErrStopping
	}
	c.receive()
	principal, err := a.identify(c)
	if err != nil {
		return authn.Principal{}, err
	}
	c.event.Caller, c.event.Account = principal.Name, named(principal)
	if !a.config.Rates.Allow(principal.Name) {
		return authn.Principal{}, errTooFast
	}
	if !principal.Has(scope) {
		return authn.Principal{}, &scopeError{scope}
	}
	return principal, nil
}

// acquirePlace takes one of the places for calls in flight, which is free again when the call ends. Shares of the places can be
// kept only of a caller that is known, and a caller that is not takes none, however long its credential needs to be judged.
func (a *API) acquirePlace(c *call) error {
	release, ok := a.config.Gate.Acquire(c.request.Context(), admission.Call{Caller: c.event.Caller, Account: c.event.Account})
	if !ok {
		return errOverload
	}
	c.release = release
	return nil
}

// scopeError is errScope, and names the scope that the caller lacks.
type scopeError struct{ scope authn.Scope }

func (e *scopeError) Error() string { return errScope.Error() + ": " + string(e.scope) }

func (e *scopeError) Unwrap() error { return errScope }

// deniedFor returns why the caller was refused; empty when the error is about something else.
func deniedFor(err error) authn.Reason {
	if errors.Is(err, errScope) {
		return authn.ReasonScope
	}
	return authn.ReasonOf(err)
}

// receive waits for the whole body, so that a caller that sends slowly holds nothing but a connection. What is wrong with the body
// is said when it is looked at.
func (c *call) receive() {
	if c.received {
		return
	}
	c.received = true
	body, err := io.ReadAll(c.request.Body)
	c.body, c.cut = secret.NewBytes(body), err
}

// identify returns the caller.
func (a *API) identify(c *call) (authn.Principal, error) {
	credential, err := authn.ParseBearer(c.request.Header.Values("Authorization"))
	if err != nil {
		return authn.Principal{}, err
	}
	if c.mayRecall {
		if principal, version, ok := a.config.Callers.Recall(credential); ok {
			c.recalled, c.principal = version, principal
			return principal, nil
		}
	}
	return a.config.Callers.Authenticate(c.request.Context(), credential)
}

// errOtherRights means that the key of a recalled caller is good, and for something else than when it was accepted before.
var errOtherRights = errors.New("the rights of the API key have changed")

// recalling returns a stage whose caller may be one that is known from before, without a look at the store: what h does for such a
// caller must depend on the version of the keys (otp.Request). What such a caller is refused before that was compared, it is told only
// if its key is good; or if the store cannot say whether it is. Where the key is good for something else by now, h runs again.
func (a *API) recalling(h handler) handler {
	return func(c *call) (any, error) {
		c.mayRecall = true
		result, err := h(c)
		if _, begun := errors.AsType[*otp.Attempted](err); err == nil || begun {
			return result, err
		}
		if c.recalled != 0 {
			switch refusal := a.confirm(c); {
			case errors.Is(refusal, authn.ErrUnauthenticated):
				return nil, refusal
			case errors.Is(refusal, errOtherRights):
				err = refusal
			}
		}
		if errors.Is(err, errOtherRights) {
			c.startAgain()
			return h(c)
		}
		return nil, err
	}
}

// confirm authenticates a caller that was recalled. The error may be errOtherRights. The event of a caller that is refused names none.
func (a *API) confirm(c *call) error {
	c.mayRecall, c.recalled = false, 0
	principal, err := a.identify(c)
	switch {
	case errors.Is(err, authn.ErrUnauthenticated):
		c.event.Caller, c.event.Account = "", ""
	case err == nil && !principal.HasSameRights(c.principal):
		return errOtherRights
	}
	return err
}

// startAgain returns what the call has taken for a caller with other rights.
func (c *call) startAgain() {
	if c.release != nil {
		c.release()
	}
	c.release, c.event.Caller, c.event.Account = nil, "", ""
}
