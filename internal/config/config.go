// Package config has every setting of pimsd, with its names, unit, default and consequence, and makes one Config of the configuration
// file, the environment and the flags.
//
// settings.json is the reference: docs/configuration.md, pimsd.example.yaml and the flags are made from it.
// A Config depends on the Input alone. The package must never read the process's environment or arguments itself, never put a secret
// into an error, and never have a setting that the program does not use.
package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// Config is the whole configuration, checked. Who builds one by hand starts from Default.
type Config struct {
	Listen       string      // host:port of the API
	DataDir      string      // the folder of everything that pimsd keeps in files
	DatabaseURL  secret.Text // postgres://…; empty: SQLite in DataDir
	Postgres     Postgres
	Maintenance  bool // the service takes no calls and opens no store
	Ops          Ops
	Admin        Admin
	HTTP         HTTP
	TLS          TLS
	Load         Overload
	JWT          JWT
	Conversation Conversation
	Guard        Guard
	Quota        Quota
	Idempotency  Idempotency
	Audit        Audit
	Activations  Activations
	Seal         Seal
	Stop         Stop
	Inwebo       Inwebo
	Log          Log
	Traces       Traces
	// Now is the clock of a store in SQLite; nil means that of the machine. It is no setting: tests let it jump.
	Now func() time.Time `setting:"none"`

	origins         map[string]string // by key, of the settings that somebody gave
	files           map[string]string // by key, of the secrets that came from a file of their own
	fileWithSecrets string            // the file of settings, when it holds a secret itself
}

// Postgres describes the cluster of the PostgreSQL server.
type Postgres struct {
	SynchronousFailover bool // only synchronous standbys are ever promoted
}

// Ops is the operators' listener.
type Ops struct {
	Listen string // host:port
	// Try lets the page of the API make calls, which it passes on to the API's listener. It is no setting: pimsd dev sets it.
	Try bool `setting:"none"`
	// TryKey is the API key that the page fills in where Try is set; empty: none. It is no setting: pimsd dev sets it.
	TryKey secret.Text `setting:"none"`
}

// Admin is the listener of administration.
type Admin struct {
	Listen string // host:port; empty: there is none
}

// HTTP bounds what a caller's connection may take, and says what of it is believed.
type HTTP struct {
	IdleTimeout time.Duration // without a request
	PartTimeout time.Duration `setting:"none"` // for the header of a request, and again for its body

	AllowPlain     bool           // plain HTTP beyond loopback is meant
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
}

// Conversation bounds one conversation with inWebo.
type Conversation struct {
	Deadline  time.Duration // from before the hold to the settle
	QueueWait time.Duration // behind other conversations of the same device
}

// Guard is the PIN guard.
type Guard struct {
	Attempts   int           // wrong PINs forwarded between two successes; 0: the guard is off
	Pause      time.Duration // after a wrong PIN
	Unanswered time.Duration `setting:"none"` // how long a PIN whose answer was lost counts as wrong
}

// Quota is what an account may use up.
type Quota struct {
	OTPsPerDay int // in a sliding 24 h; 0: no quota
}

// Idempotency is about calls that are repeated.
type Idempotency struct {
	AnswerLife time.Duration // how long an answer is kept
}

// Audit is about the audit log.
type Audit struct {
	Retention time.Duration // how long a line is kept; 0: for ever
}

// Activations are the limits of an account's SMS activations.
type Activations struct {
	RefuseAt int // 0: no limit
	WarnAt   int `setting:"none"`
}

// Seal is how records are sealed at rest.
type Seal struct {
	Keys secret.Text // a keyring, one key a line
}

// Stop bounds the end of the service.
type Stop struct {
	DrainDelay      time.Duration // between failing readiness and refusing requests
	SettleAllowance time.Duration `setting:"none"` // for answers that the store has not taken yet
}

// Inwebo is the other side, and how pimsd shows itself there.
type Inwebo struct {
	URL             *url.URL // scheme and host
	AllowPlain      bool     // plain HTTP beyond loopback is meant
	Path            string
	MacID           string        // 32 hex digits
	Version         string        // host version / library version
	UserAgent       string        `setting:"none"`
	DeviceName      string        `setting:"none"` // what the user sees in inWebo's list of devices
	Language        string        `setting:"none"` // of messages that inWebo may send along
	Service         string        // id or name; empty: the only one
	ExchangeTimeout time.Duration // one request, dial and answer included
	DialTimeout     time.Duration `setting:"none"` // TCP and TLS, each
	CircuitFaults   int           `setting:"none"` // conversations in a row that cannot reach it; 0: the circuit never opens
	CircuitTimeout  time.Duration `setting:"none"` // how long the circuit stays open
	SetupRepeats    int           `setting:"none"` // of a hundred setups, how many may be sent a second time
	ProxyURL        secret.Text   // may carry a password; empty: none
	CAFile          string        // PEM; empty: the system's
	ClientCertFile  string        // PEM; empty: none
	ClientKeyFile   string        // PEM; goes with ClientCertFile
	TranscriptFile  string        // empty: none
}

// Log is what pimsd writes to standard error.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // auto, json or text
}

// Default returns the configuration without any setting given. DataDir is empty: its default depends on the process.
func Default() *Config {
	c := &Config{origins: map[string]string{}, files: map[string]string{}}
	c.fix()
	for _, s := range c.settings() {
		if err := s.value.set(s.Preset); err != nil {
			panic("config: the default of " + s.Key + " " + err.Error())
		}
	}
	c.derive()
	return c
}

// fix sets what no operator decides. It has a field so that a test can choose another value.
func (c *Config) fix() {
	c.HTTP.PartTimeout, c.Load.Wait, c.Stop.SettleAllowance = partTimeout, placeTimeout, settleAllowance
	c.JWT.Leeway, c.Guard.Unanswered = time.Minute, unansweredGuess
	c.Inwebo.Language, c.Inwebo.UserAgent, c.Inwebo.DeviceName = "fr", inweboUserAgent, "pimsd"
	c.Inwebo.CircuitFaults, c.Inwebo.CircuitTimeout, c.Inwebo.SetupRepeats = 5, circuitTimeout, 10
}

// inweboUserAgent is the User-Agent header of every request to inWebo, whose server is only known to answer agents that look
// like an Android phone.
const inweboUserAgent = "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 6 Build/TQ3A.230901.001)"

// derive sets what follows from settings.
func (c *Config) derive() {
	c.Load.Waiting = c.Load.InFlight / 2
	c.Inwebo.DialTimeout = min(maxDialTimeout, c.Inwebo.ExchangeTimeout)
	c.Activations.WarnAt = max(1, cmp.Or(c.Activations.RefuseAt, inweboActivationLimit-1)-activationsLeft)
}

const (
	partTimeout     = 5 * time.Second
	placeTimeout    = time.Second
	circuitTimeout  = 5 * time.Second
	maxDialTimeout  = 3 * time.Second
	settleAllowance = 10 * time.Second
	unansweredGuess = 15 * time.Minute
	activationsLeft = 4 // SMS activations before the limit: an enrollment then warns that few are left
)

// Effective is a setting as it stands.
type Effective struct {
	Key    string `json:"key"`    // as in the file
	Text   string `json:"value"`  // of a secret the placeholder, or nothing when it is empty
	Origin string `json:"origin"` // "default", or where it was set: "pimsd.yaml:3 listen", "PIMSD_LISTEN", "--listen"
}

// Effective lists every setting in the order of the manual.
func (c *Config) Effective() []Effective {
	var all []Effective
	for _, s := range c.settings() {
		e := Effective{Key: s.Key, Text: s.value.text(), Origin: c.origin(s.Key)}
		if s.Secret && (e.Text != "" || c.files[s.Key] != "") {
			e.Text = secret.Placeholder
		}
		all = append(all, e)
	}
	return all
}

// IsSet reports whether the setting of that key was set explicitly, even to its default.
func (c *Config) IsSet(key string) bool {
	return c.origin(key) != originDefault
}

// FileOf returns the file that the secret of that key was read from; empty when it came otherwise.
func (c *Config) FileOf(key string) string { return c.files[key] }

// SecretFile is a file that holds a secret, and the setting that names it.
type SecretFile struct{ Setting, Path string }

// SecretFiles returns the files of secrets that settings name, private keys among them.
func (c *Config) SecretFiles() (all []SecretFile) {
	for _, s := range c.settings() {
		if file := c.files[s.Key]; file != "" {
			all = append(all, SecretFile{s.inFile().Key, file})
		}
	}
	for _, key := range []SecretFile{{"tls.key_file", c.TLS.KeyFile}, {"inwebo.client_key_file", c.Inwebo.ClientKeyFile}} {
		if key.Path != "" {
			all = append(all, key)
		}
	}
	return all
}

// FileWithSecrets returns the file of settings when it holds a secret itself, and else nothing.
func (c *Config) FileWithSecrets() string { return c.fileWithSecrets }

const originDefault = "default"

func (c *Config) origin(key string) string {
	if o, ok := c.origins[key]; ok {
		return o
	}
	return originDefault
}
