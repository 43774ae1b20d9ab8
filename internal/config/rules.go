package config

import (
	"slices"
	"strings"
	"time"
)

// rule is about settings that must fit each other.
type rule struct {
	keys   []string
	broken bool
	advice string
}

func (c *Config) rules() []rule {
	return []rule{
		{
			keys:   []string{"listen", "ops.listen"},
			broken: c.Listen == c.Ops.Listen && !strings.HasSuffix(c.Listen, ":0"),
			advice: "are the same: choose another port for the operators' listener",
		},
		{
			keys:   []string{"listen", "ops.listen", "admin.listen"},
			broken: (c.Admin.Listen == c.Listen || c.Admin.Listen == c.Ops.Listen) && !strings.HasSuffix(c.Admin.Listen, ":0"),
			advice: "are not three: give administration a port of its own",
		},
		{
			keys:   []string{"conversation.deadline", "inwebo.exchange_timeout"},
			broken: c.Conversation.Deadline < 2*c.Inwebo.ExchangeTimeout,
			advice: "do not fit: the deadline must be at least twice the time-out, for a setup and a finalize",
		},
		{
			keys:   []string{"tls.cert_file", "tls.key_file"},
			broken: (c.TLS.CertFile == "") != (c.TLS.KeyFile == ""),
			advice: "go together: set both or neither",
		},
		{
			keys:   []string{"admin.listen", "tls.cert_file", plainHTTPKey},
			broken: c.Admin.Listen != "" && c.isPlain(c.Admin.Listen) && !c.HTTP.AllowPlain,
			advice: "do not fit: keys and device files would cross the network readable. Listen on loopback, such as 127.0.0.1:8081; or set " +
				"tls.cert_file and tls.key_file; or, where TLS ends in front of pimsd, set " + plainHTTPKey + " to yes",
		},
		{
			keys:   []string{"listen", "tls.cert_file", plainHTTPKey},
			broken: c.isPlain(c.Listen) && !c.HTTP.AllowPlain,
			advice: "do not fit: PINs and OTPs would cross the network readable. Listen on loopback, such as 127.0.0.1:8080; or set tls.cert_file " +
				"and tls.key_file; or, where TLS ends in front of pimsd, set " + plainHTTPKey + " to yes",
		},
		{
			keys:   []string{"inwebo.url", plainInweboKey},
			broken: c.Inwebo.PlainBeyondLoopback() && !c.Inwebo.AllowPlain,
			advice: "do not fit: keys of devices would cross the network readable. Use a URL that begins with https://; or, for a simulator, set " +
				plainInweboKey + " to yes",
		},
		{
			keys:   []string{"inwebo.client_cert_file", "inwebo.client_key_file"},
			broken: (c.Inwebo.ClientCertFile == "") != (c.Inwebo.ClientKeyFile == ""),
			advice: "go together: set both or neither",
		},
		{
			keys:   []string{"audit.retention"},
			broken: c.Audit.Retention > 0 && c.Audit.Retention < 24*time.Hour,
			advice: "is too short: keep a day at least, or 0 for all",
		},
	}
}

// checkRules leaves out rules about settings that are wrong already: what they hold is not what was asked for.
func (l *loader) checkRules() {
	for _, r := range l.config.rules() {
		if r.broken && !slices.ContainsFunc(r.keys, func(key string) bool { return l.broken[key] }) {
			l.fault(l.describe(r.keys), "%s", r.advice)
		}
	}
}

// describe names settings with their values, each as its author wrote it; defaults come last.
func (l *loader) describe(keys []string) string {
	var written, preset []string
	for _, e := range l.config.Effective() {
		if !slices.Contains(keys, e.Key) {
			continue
		}
		if e.Origin == originDefault {
			preset = append(preset, e.Key+" ("+e.Text+")")
		} else {
			written = append(written, e.Origin+" ("+e.Text+")")
		}
	}
	return strings.Join(append(written, preset...), " and ")
}
