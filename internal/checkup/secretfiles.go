package checkup

import (
	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

// checkSecretFiles returns a note for each file with a secret that others than its owner may read. Files that are refused
// for it fail where they are needed.
func checkSecretFiles(c *config.Config) (findings []Finding) {
	for _, warning := range app.SecretWarnings(c) {
		findings = append(findings, note("secret files", warning, ""))
	}
	return findings
}
