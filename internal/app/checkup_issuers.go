package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

// inspectIssuers checks the issuers whose tokens are accepted, if there are any.
func inspectIssuers(ctx context.Context, c *config.Config) (findings []Finding) {
	const what = preconditionIssuers
	if len(c.JWT.Issuers) == 0 {
		return nil
	}
	err := checkIssuers(c.JWT)
	if err == nil {
		return append([]Finding{passes(what, fmt.Sprintf("%s names %d", c.JWT.IssuersFile, len(c.JWT.Issuers)))}, inspectIssuerKeys(ctx, c)...)
	}
	faults, _ := errors.AsType[config.Faults](err)
	for _, fault := range faults {
		findings = append(findings, fails(what, fault.String(), "docs/configuration.md says what an issuer needs."))
	}
	return append(findings, skipped("keys of issuers", "the issuers cannot be used"))
}

// inspectIssuerKeys fetches the keys of each issuer, as the service does: all at once, in authn.KeyFetchTimeout.
func inspectIssuerKeys(ctx context.Context, c *config.Config) []Finding {
	findings := make([]Finding, len(c.JWT.Issuers))
	var all sync.WaitGroup
	for i, issuer := range c.JWT.Issuers {
		all.Go(func() {
			keys, err := authn.FetchKeys(ctx, keyTransport(), issuer)
			findings[i] = describeKeys("keys of issuer "+issuer.Name, keys.Usable, describeLeftOut(keys.LeftOut), err)
		})
	}
	all.Wait()
	return findings
}

// describeKeys says how many keys of an issuer are usable, which are left out, or why there are none.
func describeKeys(what string, usable int, leftOut string, err error) Finding {
	switch {
	case err != nil:
		return fails(what, err.Error(), "Check jwks_url, the network and the certificate of the issuer: "+
			"its tokens are answered with 503 until its keys can be fetched.")
	case leftOut != "" && usable == 0:
		return fails(what, "none can be used; left out: "+leftOut, "Tokens of the issuer are answered with 503.")
	case usable == 0:
		return fails(what, "the JWKS has no key that can check a signature", "Check jwks_url.")
	case leftOut != "":
		return note(what, fmt.Sprintf("%d can be used; left out: %s", usable, leftOut),
			"Tokens that are signed with a key that is left out are refused.")
	default:
		return passes(what, fmt.Sprintf("%d can be used", usable))
	}
}
