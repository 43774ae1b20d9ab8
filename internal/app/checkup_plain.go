package app

import "github.com/pimsd/pimsd/internal/config"

// inspectPlainHTTP notes where plain HTTP crosses the network because a setting says that it is meant.
func inspectPlainHTTP(c *config.Config) (findings []Finding) {
	const what = "plain HTTP"
	if c.PlainBeyondLoopback() {
		findings = append(findings, note(what, "the API is served without TLS at "+c.Listen+", as http.allow_plain says",
			"Make sure that TLS ends in front of it: PINs and OTPs can be read on the way otherwise."))
	}
	if c.Inwebo.PlainBeyondLoopback() {
		findings = append(findings, note(what, "inWebo is asked without TLS at "+c.Inwebo.URL.Host+", as inwebo.allow_plain says",
			"Give inwebo.url a URL that begins with https://, unless this is a simulator."))
	}
	return findings
}

// inspectMaintenance notes that the service would take no calls.
func inspectMaintenance(c *config.Config) []Finding {
	if !c.Maintenance {
		return nil
	}
	return []Finding{note("maintenance", "the service takes no calls, as maintenance says",
		"When the work on the store is done, set maintenance to no and start the service again.")}
}
