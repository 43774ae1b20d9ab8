package app

import (
	"context"
	"errors"
	"fmt"

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

// inspectIssuerKeys fetches the keys of each issuer, as the service does.
func inspectIssuerKeys(ctx context.Context, c *config.Config) (findings []Finding) {
	for _, keys := range fetchIssuerKeys(ctx, c.JWT) {
		what := "keys of issuer " + keys.Issuer
		switch {
		case keys.Err != nil:
			findings = append(findings, fails(what, keys.Err.Error(), "Check jwks_url, the network and the certificate of the issuer: "+
				"its tokens are answered with 503 until its keys can be fetched."))
		case keys.LeftOut != "" && keys.Usable == 0:
			findings = append(findings, fails(what, "none can be used; left out: "+keys.LeftOut, "Tokens of the issuer are answered with 503."))
		case keys.Usable == 0:
			findings = append(findings, fails(what, "the JWKS has no key that can check a signature", "Check jwks_url."))
		case keys.LeftOut != "":
			findings = append(findings, note(what, fmt.Sprintf("%d can be used; left out: %s", keys.Usable, keys.LeftOut),
				"Tokens that are signed with a key that is left out are refused."))
		default:
			findings = append(findings, passes(what, fmt.Sprintf("%d can be used", keys.Usable)))
		}
	}
	return findings
}
