package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

type (
	// adminAccount is an account as administration shows it.
	adminAccount struct {
		Account    string     `json:"account"`
		Unreadable bool       `json:"unreadable,omitempty"`
		Needs      []otp.Need `json:"needs"`
		accountResult
	}
	// accountsPage is a page of accounts. Next is what `after` must be for the next page; empty after the last one.
	accountsPage struct {
		Accounts []adminAccount `json:"accounts"`
		Next     string         `json:"next,omitempty"`
	}
	accountRequest struct {
		Action string `json:"action" validate:"required,oneof=unlock doubt disable enable forget"`
	}
)

func describeAccount(listed ListedAccount) adminAccount {
	return adminAccount{
		Account: string(listed.Account), Unreadable: listed.Unreadable, Needs: append([]otp.Need{}, listed.needs()...),
		accountResult: resultOf(listed.Status),
	}
}

// listAccounts returns a page of the accounts that the caller administers. Pages go by the names of accounts: one that is there
// all the time is in exactly one of them, whatever is inserted meanwhile.
func (ad *administration) listAccounts(c *adminCall) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	need := otp.Need(c.query.Get("needs"))
	if c.query.Has("needs") && !slices.Contains(append(otp.AllNeeds(), otp.NeedRepair), need) {
		return nil, &fault{errInvalid, "needs"}
	}
	after := otp.Account(c.query.Get("after"))
	if after != "" {
		if after, err = otp.ParseStoredAccount(string(after)); err != nil {
			return nil, &fault{errInvalid, "after"}
		}
	}
	return ad.pageOf(c.request.Context(), c.principal.Grant, after, limit, need)
}

// pageOf reads on until the page is full, the accounts of the prefix end, or maxScan of them have been looked at.
func (ad *administration) pageOf(
	ctx context.Context, grant authn.Grant, after otp.Account, limit int, need otp.Need,
) (page accountsPage, err error) {
	page.Accounts = []adminAccount{}
	if first := otp.Account(grant.Prefix).Before(); after < first {
		after = first
	}
	step := limit
	if need != "" {
		step = maxPage
	}
	for scanned := 0; scanned < maxScan; {
		listed, err := ad.store.AccountsAfter(ctx, after, step)
		if err != nil {
			return accountsPage{}, err
		}
		scanned += len(listed)
		for _, account := range listed {
			if !strings.HasPrefix(string(account.Account), grant.Prefix) { // they come after all that have it
				return page, nil
			}
			after = account.Account
			if !account.has(need) || !grant.IncludesAccount(string(after)) {
				continue
			}
			if page.Accounts = append(page.Accounts, describeAccount(account)); len(page.Accounts) == limit {
				page.Next = string(after)
				return page, nil
			}
		}
		if len(listed) < step {
			return page, nil
		}
	}
	page.Next = string(after)
	return page, nil
}

func (ad *administration) showAccount(c *adminCall) (any, error) {
	account := c.domainRequest().Account
	status, err := ad.accounts.Status(c.request.Context(), account)
	switch {
	case errors.Is(err, otp.ErrDamaged):
		return describeAccount(ListedAccount{Status: status, Unreadable: true}), nil
	case err != nil:
		return nil, err
	case !status.Known:
		return nil, otp.ErrNoDevice
	}
	return describeAccount(ListedAccount{Status: status}), nil
}

func (ad *administration) changeAccount(c *adminCall) (any, error) {
	req, err := bind[accountRequest](ad.rules, c.body.Reveal())
	if err != nil {
		return nil, err
	}
	change := map[string]func(context.Context, otp.Request) error{
		"unlock": ad.accounts.Unlock, "doubt": ad.accounts.Doubt, "disable": ad.accounts.Disable, "enable": ad.accounts.Enable,
		"forget": ad.accounts.ForgetDisabled,
	}[req.Action]
	return nothing{}, change(c.request.Context(), c.domainRequest())
}

// importDevice never replaces a device. It takes the PIN that the file has.
func (ad *administration) importDevice(c *adminCall) (any, error) {
	dryRun, err := c.flag("dryRun")
	if err != nil {
		return nil, err
	}
	return ad.store.ImportDevice(c.request.Context(), c.domainRequest(), c.body, dryRun)
}
