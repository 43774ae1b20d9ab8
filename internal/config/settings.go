package config

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names of the setting that names the file, and so cannot be set in it.
const (
	EnvFile  = "PIMSD_CONFIG"
	FlagFile = "config"
)

const (
	envPrefix  = "PIMSD_"
	fileSuffix = "_file" // of a secret's second name, which says where to read it
)

// setting is one row of the manual, bound to its place in a Config.
type setting struct {
	Key    string // in the file, sections joined by dots; the other names follow from it
	Unit   string // what a value looks like
	Preset string // the default, as one would write it
	What   string // a phrase
	Effect string // what follows from another value, in sentences
	Secret bool

	value value
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// inFile is the setting's second name when it is a secret: the file that holds it.
func (s setting) inFile() setting { return setting{Key: s.Key + fileSuffix} }

// group is settings that belong together for a person who looks for one. The settings of a section are in one group.
type group struct {
	Title    string
	Settings []setting
}

//go:embed settings.json
var manualText []byte

//nolint:gochecknoglobals // it is read once, and never changes
var manual = sync.OnceValue(func() (all []group) {
	if err := json.Unmarshal(manualText, &all); err != nil {
		panic("config: settings.json: " + err.Error())
	}
	return all
})

// groups returns every setting, once, bound to c.
func (c *Config) groups() (all []group) {
	values := c.values()
	for _, g := range manual() {
		g.Settings = slices.Clone(g.Settings)
		for i, s := range g.Settings {
			g.Settings[i].value = values[s.Key]
		}
		all = append(all, g)
	}
	return all
}

func (c *Config) settings() (all []setting) {
	for _, g := range c.groups() {
		all = append(all, g.Settings...)
	}
	return all
}

// values returns the place of each setting in c, by its key.
func (c *Config) values() map[string]value {
	return map[string]value{
		"listen":                        address(&c.Listen),
		"ops.listen":                    address(&c.Ops.Listen),
		"data_dir":                      path(&c.DataDir),
		"database_url":                  databaseURL(&c.DatabaseURL),
		sealKeys:                        secretText(&c.Seal.Keys),
		"log.level":                     oneOf(&c.Log.Level, "debug", "info", "warn", "error"),
		"log.format":                    oneOf(&c.Log.Format, "auto", "json", "text"),
		"maintenance":                   yesNo(&c.Maintenance),
		"admin.listen":                  optionalAddress(&c.Admin.Listen),
		"postgres.synchronous_failover": yesNo(&c.Postgres.SynchronousFailover),
		"load.in_flight":                count(&c.Load.InFlight, 1, 1_000_000),
		"load.caller_rate":              count(&c.Load.CallerRate, 0, 1_000_000),
		"stop.drain_delay":              duration(&c.Stop.DrainDelay, 0, 5*time.Minute),
		"conversation.deadline":         duration(&c.Conversation.Deadline, time.Second, 5*time.Minute),
		"conversation.queue_wait":       duration(&c.Conversation.QueueWait, 0, 5*time.Minute),
		"pin_guard.attempts":            count(&c.Guard.Attempts, 0, inweboPINLimit-1),
		"pin_guard.pause":               duration(&c.Guard.Pause, 0, time.Hour),
		"quota.otps_per_day":            count(&c.Quota.OTPsPerDay, 0, 1_000_000),
		"idempotency.answer_life":       duration(&c.Idempotency.AnswerLife, time.Second, 10*time.Minute),
		"audit.retention":               duration(&c.Audit.Retention, 0, 100*365*24*time.Hour),
		"sms_activations.refuse_at":     count(&c.Activations.RefuseAt, 0, inweboActivationLimit),
		"inwebo.url":                    baseURL(&c.Inwebo.URL),
		plainInweboKey:                  yesNo(&c.Inwebo.AllowPlain),
		"inwebo.path": pattern(&c.Inwebo.Path, `/[A-Za-z0-9._~/-]*`,
			"a path that starts with / and needs no escaping, such as /iwws/MAC"),
		"inwebo.macid": pattern(&c.Inwebo.MacID, `[0-9a-f]{32}`, "32 lower-case hex digits"),
		"inwebo.version": pattern(&c.Inwebo.Version, `[!-.0-~]+/[!-.0-~]+`,
			"two versions joined by /, such as Generator-1.0/0.2.11"),
		"inwebo.service":          printable(&c.Inwebo.Service, 0, 128),
		"inwebo.exchange_timeout": duration(&c.Inwebo.ExchangeTimeout, 100*time.Millisecond, 2*time.Minute),
		"inwebo.proxy_url":        secretURL(&c.Inwebo.ProxyURL, "http", "https"),
		"inwebo.ca_file":          path(&c.Inwebo.CAFile),
		"inwebo.client_cert_file": path(&c.Inwebo.ClientCertFile),
		"inwebo.client_key_file":  path(&c.Inwebo.ClientKeyFile),
		"inwebo.transcript_file":  path(&c.Inwebo.TranscriptFile),
		"tls.cert_file":           path(&c.TLS.CertFile),
		"tls.key_file":            path(&c.TLS.KeyFile),
		plainHTTPKey:              yesNo(&c.HTTP.AllowPlain),
		"http.idle_timeout":       duration(&c.HTTP.IdleTimeout, time.Second, time.Hour),
		"http.trusted_proxies":    prefixes(&c.HTTP.TrustedProxies),
		"traces.otlp_url":         collector(&c.Traces.OTLPURL),
		issuersKey:                path(&c.JWT.IssuersFile),
	}
}

// sealKeys is the key of the setting with the sealing keys.
const sealKeys = "seal.keys"

// inweboPINLimit is the vendor's default for wrong PINs in a row (docs/protocol.md §7).
const inweboPINLimit = 3

// inweboActivationLimit is about how many SMS activations an account has (docs/protocol.md §7).
const inweboActivationLimit = 20
