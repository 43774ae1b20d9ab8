package config

import (
	"slices"
	"strings"
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
	key    string // in the file, sections joined by dots; the other names follow from it
	unit   string // what a value looks like
	preset string // the default, as one would write it
	what   string // a phrase
	effect string // what follows from another value, in sentences
	secret bool
	value  value
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }

// inFile is the setting's second name when it is a secret: the file that holds it.
func (s setting) inFile() setting { return setting{key: s.key + fileSuffix} }

// group is settings that belong together for a person who looks for one.
type group struct {
	title    string
	settings []setting
}

// groups returns every setting, once, bound to c. The settings of a section are in one group.
func (c *Config) groups() []group {
	return []group{
		{"What an operator sets", slices.Concat(c.serviceSettings(), c.tlsSettings(), c.jwtSettings())},
		{"Tuning", slices.Concat(c.loadSettings(), c.guardSettings(), c.httpSettings(), c.traceSettings(), c.adminSettings(),
			c.postgresSettings(), c.maintenanceSettings())},
		{"inWebo and its protocol", slices.Concat(c.inweboSettings(), c.exchangeSettings())},
	}
}

func (c *Config) settings() (all []setting) {
	for _, g := range c.groups() {
		all = append(all, g.settings...)
	}
	return all
}

func (c *Config) serviceSettings() []setting {
	return []setting{
		{
			key: "listen", unit: "host:port", preset: "127.0.0.1:8080", value: address(&c.Listen),
			what:   "where the API listens",
			effect: "Loopback keeps it to this machine. An empty host listens on every interface.",
		},
		{
			key: "ops.listen", unit: "host:port", preset: "127.0.0.1:9464", value: address(&c.Ops.Listen),
			what:   "where `/metrics`, `/livez`, `/readyz` and the API to read (`/docs/`) are served",
			effect: "They ask for no credentials: only operators and their machines should reach it.",
		},
		{
			key: "data_dir", unit: "folder", value: path(&c.DataDir),
			what: "where pimsd keeps what it keeps in files",
			effect: "Empty: the first of `$STATE_DIRECTORY` (set by systemd), `/var/lib/pimsd` for root, `$XDG_DATA_HOME/pimsd`, " +
				"`~/.local/share/pimsd`. It must be on a local disk: with SQLite, the devices are in it.",
		},
		{
			key: "database_url", unit: "URL", secret: true, value: databaseURL(&c.DatabaseURL),
			what: "the PostgreSQL database that holds the devices, `postgres://user:password@host:5432/database` or " +
				"`host=… user=… dbname=…`",
			effect: "Several hosts and Unix sockets are given as to libpq. In a URL, `%`, `#`, `/`, `@` and blanks of a user or password " +
				"are percent-encoded. Empty: SQLite in the data directory, for one replica.",
		},
		{
			key: sealKeys, unit: "keys", secret: true, value: secretText(&c.Seal.Keys),
			what: "the keys that seal the devices at rest, a base64 of 32 bytes a line, the current one first",
			effect: "Empty: `seal.keys` in the data directory, made at the first start; with PostgreSQL they must be given, since every " +
				"replica needs the same. As a file they can be rotated by `pimsd seal rotate`.",
		},
		{
			key: "log.level", unit: "level", preset: "info", value: oneOf(&c.Log.Level, "debug", "info", "warn", "error"),
			what:   "the least severity that is logged: `debug`, `info`, `warn` or `error`",
			effect: "Secrets are not logged at any level.",
		},
		{
			key: "log.format", unit: "format", preset: "auto", value: oneOf(&c.Log.Format, "auto", "json", "text"),
			what:   "what a line of the log is: `json`, `text`, or `auto`",
			effect: "Automatic: text on a terminal, and JSON for every other reader.",
		},
	}
}

// maintenanceSettings say whether the service serves at all.
func (c *Config) maintenanceSettings() []setting {
	return []setting{
		{
			key: "maintenance", unit: "yes or no", preset: "no", value: yesNo(&c.Maintenance),
			what: "whether the service opens no store and takes no calls, so that commands which need it to be stopped can be run where it runs",
			effect: "Yes: callers get code 2001, `/readyz` fails and `/livez` does not. `docs/operations.md` says what it is for. " +
				"It is read at the start.",
		},
	}
}

// adminSettings say whether there is administration over REST.
func (c *Config) adminSettings() []setting {
	return []setting{
		{
			key: "admin.listen", unit: "host:port", value: optionalAddress(&c.Admin.Listen),
			what:   "where accounts, keys and the audit log are administered over REST, with a key of the scope `admin`",
			effect: "Empty: nowhere. It has the TLS of the API. Only the machines of those who administer should reach it.",
		},
	}
}

// postgresSettings describe the cluster of the database.
func (c *Config) postgresSettings() []setting {
	return []setting{
		{
			key: "postgres.synchronous_failover", unit: "yes or no", preset: "no", value: yesNo(&c.Postgres.SynchronousFailover),
			what: "whether only synchronous standbys of the PostgreSQL server are ever promoted",
			effect: "Yes: a promotion leaves the devices as they are. It is for clusters whose fail-over never chooses another standby, such " +
				"as Patroni with `synchronous_mode_strict`; a step that the promoted server lacks is then reported as a wrong PIN. No: a " +
				"promotion puts every device in doubt. All replicas and commands must agree on it.",
		},
	}
}

// loadSettings say how much is done at once, and how it ends.
func (c *Config) loadSettings() []setting {
	return []setting{
		{
			key: "load.in_flight", unit: "count", preset: "1024", value: count(&c.Load.InFlight, 1, 1_000_000),
			what: "how many calls are under way at once",
			effect: "Fewer: less memory, and earlier refusals with code 2001. A call that queues for its device counts. A caller may " +
				"have three times as many as are free, an account a sixteenth of the free ones and two at least, so that one leaves " +
				"places for others. Half as many more calls wait for a place, 1s each; the others are refused at once, with 503.",
		},
		{
			key: "load.caller_rate", unit: "count", preset: "100", value: count(&c.Load.CallerRate, 0, 1_000_000),
			what: "how many requests a second each caller, a key or the subject of a token, may send; 0 turns that off",
			effect: "A caller that sends more is answered with 429 and code 2001. After a pause it may send ten times as many at once. A " +
				"backend calls for many accounts with one key.",
		},
		{
			key: "stop.drain_delay", unit: "duration", preset: "0s", value: duration(&c.Stop.DrainDelay, 0, 5*time.Minute),
			what:   "how long a stopping service goes on serving after `/readyz` has begun to fail",
			effect: "It is the time that a load balancer has to notice; 0 where there is none.",
		},
	}
}

func (c *Config) guardSettings() []setting {
	return []setting{
		{
			key: "conversation.deadline", unit: "duration", preset: "15s",
			value: duration(&c.Conversation.Deadline, time.Second, 5*time.Minute),
			what:  "how long one conversation with inWebo may take, storing included",
			effect: "Shorter: slow answers become code 2202. Longer: a device whose process died is locked for longer. " +
				"Replicas must agree on it. A setup and a finalize must fit: at least twice `inwebo.exchange_timeout`.",
		},
		{
			key: "conversation.queue_wait", unit: "duration", preset: "10s",
			value:  duration(&c.Conversation.QueueWait, 0, 5*time.Minute),
			what:   "how long a request waits behind others for the same device",
			effect: "A caller that waits longer gets code 2311. Together with the deadline it is the longest time that a call takes.",
		},
		{
			key: "pin_guard.attempts", unit: "count", preset: "2", value: count(&c.Guard.Attempts, 0, inweboPINLimit-1),
			what:   "how many wrong PINs are forwarded to inWebo between two successes; 0 turns the guard off",
			effect: "inWebo blocks an account at three. Without the guard, any caller can have it blocked.",
		},
		{
			key: "pin_guard.pause", unit: "duration", preset: "5s", value: duration(&c.Guard.Pause, 0, time.Hour),
			what:   "how long no PIN is forwarded after a wrong one",
			effect: "It keeps a client that repeats itself from spending all attempts at once.",
		},
		{
			key: "quota.otps_per_day", unit: "count", preset: "6", value: count(&c.Quota.OTPsPerDay, 0, 1_000_000),
			what:   "how many OTPs an account may have in any 24 h; 0 turns the quota off",
			effect: "inWebo is reported to refuse more than 6.",
		},
		{
			key: "idempotency.answer_life", unit: "duration", preset: "1m",
			value:  duration(&c.Idempotency.AnswerLife, time.Second, 10*time.Minute),
			what:   "how long the answer to a request with an `Idempotency-Key` is kept, sealed, for a repeat of it",
			effect: "Longer than an OTP lives is of no use. A key that was used is refused for 24 h in any case.",
		},
		{
			key: "audit.retention", unit: "duration", preset: "0s", value: duration(&c.Audit.Retention, 0, 100*365*24*time.Hour),
			what:   "how long a line of the audit log is kept; 0 keeps all",
			effect: "Lines that are older are deleted: ship them elsewhere before (`pimsd audit list --after ID --json`). Not under 24h.",
		},
		{
			key: "sms_activations.refuse_at", unit: "count", preset: "19",
			value: count(&c.Activations.RefuseAt, 0, inweboActivationLimit),
			what:  "after how many SMS activations of an account no further one is made; 0 turns the limit off",
			effect: "Who enrolls over REST is then answered with code 2348; an operator may still force one with " +
				"`pimsd enroll --force`. Without the limit, a client that enrolls again and again locks the account.",
		},
	}
}

// sealKeys is the key of the setting with the sealing keys.
const sealKeys = "seal.keys"

// inweboPINLimit is the vendor's default for wrong PINs in a row (docs/protocol.md §7).
const inweboPINLimit = 3

// inweboActivationLimit is about how many SMS activations an account has (docs/protocol.md §7).
const inweboActivationLimit = 20
