package app

import (
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// soon is when the end of a certificate is worth a word: long enough before it to get another.
const soon = 14 * 24 * time.Hour

// inspectCertificates looks at those that this machine shows to others.
func inspectCertificates(c *config.Config, now time.Time) (findings []Finding) {
	if c.TLS.CertFile != "" {
		findings = append(findings, inspectPair(preconditionCertificate, "tls.cert_file and tls.key_file", c.TLS.CertFile, c.TLS.KeyFile, now))
	}
	if c.Inwebo.ClientCertFile != "" {
		findings = append(findings, inspectPair("certificate for inWebo", "inwebo.client_cert_file and inwebo.client_key_file",
			c.Inwebo.ClientCertFile, c.Inwebo.ClientKeyFile, now))
	}
	return findings
}

// inspectPair looks at a certificate and its key, which the settings name.
func inspectPair(what, settings, certificateFile, keyFile string, now time.Time) Finding {
	pair, err := input.LoadKeyPair(certificateFile, keyFile)
	if err != nil {
		return fails(what, err.Error(), "Correct "+settings+": both are PEM, and belong together.")
	}
	until, from := pair.Leaf.NotAfter.UTC(), pair.Leaf.NotBefore.UTC()
	detail := fmt.Sprintf("%s, good until %s", certificateFile, until.Format(time.DateTime))
	switch {
	case now.After(until):
		return fails(what, detail+", which is over", "Get a new one.")
	case now.Before(from):
		detail = fmt.Sprintf("%s, not good before %s", certificateFile, from.Format(time.DateTime))
		return fails(what, detail, "Check the clock, or the certificate.")
	case until.Sub(now) < soon:
		return note(what, detail, "Get a new one in time.")
	default:
		return passes(what, detail)
	}
}
