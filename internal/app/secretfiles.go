package app

import (
	"io"
	"os"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// othersMayRead is the permission of users who are neither the owner of a file nor in its group.
const othersMayRead os.FileMode = 0o004

// newLog makes the log of a service, which begins with the warnings about its files of secrets.
func newLog(c *config.Config, w io.Writer) (*telemetry.Log, error) {
	log, err := telemetry.NewLog(w, c.Log.Level, c.Log.Format)
	if err != nil {
		return nil, err
	}
	for _, warning := range SecretWarnings(c) {
		log.Warn(warning)
	}
	return log, nil
}

// SecretWarnings returns a sentence for each file with a secret that is accepted although others than its owner and group
// may read it. Files that are not accepted are refused where they are read.
func SecretWarnings(c *config.Config) (warnings []string) {
	files := c.SecretFiles()
	if path, err := keyFile(c); err == nil && path != "" && c.FileOf(sealKeysSetting) == "" {
		files = append(files, config.SecretFile{Setting: sealKeysSetting, Path: path})
	}
	for _, file := range files {
		if warning := input.SecretFileWarning(file.Path); warning != "" {
			warnings = append(warnings, file.Setting+": "+warning)
		}
	}
	path := c.FileWithSecrets()
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&othersMayRead != 0 {
		warnings = append(warnings, path+" holds a secret, and every user of this machine may read it: "+
			"make it 0640, or put the secret into a file of its own")
	}
	return warnings
}

// inspectSecretFiles returns a note for each file with a secret that others than its owner may read. Files that are refused
// for it fail where they are needed.
func inspectSecretFiles(c *config.Config) (findings []Finding) {
	for _, warning := range SecretWarnings(c) {
		findings = append(findings, note("secret files", warning, ""))
	}
	return findings
}
