package checkup

import (
	"errors"
	"fmt"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

// lookAtIssuers looks at whose tokens are taken, when anybody's are.
func lookAtIssuers(c *config.Config) (findings []Finding) {
	const what = "issuers of tokens"
	if len(c.JWT.Issuers) == 0 {
		return nil
	}
	err := app.CheckIssuers(c.JWT)
	if err == nil {
		return []Finding{ok(what, fmt.Sprintf("%s names %d", c.JWT.IssuersFile, len(c.JWT.Issuers)))}
	}
	faults, _ := errors.AsType[config.Faults](err)
	for _, fault := range faults {
		findings = append(findings, fails(what, fault.String(), "docs/configuration.md says what an issuer needs."))
	}
	return findings
}
