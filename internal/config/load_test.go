package config_test

import (
	"errors"
	"io/fs"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/config"
)

// environment is what Load is given in a test: files by name, environment, arguments.
type environment struct {
	files   map[string]string
	environ []string
	args    []string
}

// load reads a world as root; a file named pimsd.yaml is the configuration unless something else is named.
func (w environment) load(t *testing.T) (*config.Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("pimsd", pflag.ContinueOnError)
	config.Flags(flags)
	if err := flags.Parse(w.args); err != nil {
		t.Fatal(err)
	}
	environ := w.environ
	if _, ok := w.files["pimsd.yaml"]; ok {
		environ = append([]string{"PIMSD_CONFIG=pimsd.yaml"}, environ...)
	}
	return config.Load(config.Input{
		Flags:   flags,
		Environ: environ,
		Root:    true,
		ReadFile: func(path string) ([]byte, error) {
			content, ok := w.files[path]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(content), nil
		},
	})
}

func (w environment) mustLoad(t *testing.T) *config.Config {
	t.Helper()
	c, err := w.load(t)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNamesThatScriptsRelyOn(t *testing.T) {
	t.Parallel()
	c := environment{environ: []string{
		"PIMSD_LISTEN=:1", "PIMSD_HTTP_ALLOW_PLAIN=yes", "PIMSD_OPS_LISTEN=:2", "PIMSD_DATA_DIR=/d", "PIMSD_DATABASE_URL=postgres://h/db",
		"PIMSD_INWEBO_URL=https://h:3", "PIMSD_INWEBO_PATH=/p", "PIMSD_INWEBO_MACID=" + strings.Repeat("a", 32),
		"PIMSD_LOG_LEVEL=debug", "PIMSD_QUOTA_OTPS_PER_DAY=0", "PIMSD_PIN_GUARD_ATTEMPTS=0", "PIMSD_CONVERSATION_DEADLINE=20s",
	}}.mustLoad(t)
	for _, tc := range []struct{ got, want any }{
		{c.Listen, ":1"},
		{c.Ops.Listen, ":2"},
		{c.DataDir, "/d"},
		{c.DatabaseURL.Reveal(), "postgres://h/db"},
		{*c.Inwebo.URL, url.URL{Scheme: "https", Host: "h:3"}},
		{c.Inwebo.Path, "/p"},
		{c.Inwebo.MacID, strings.Repeat("a", 32)},
		{c.Log.Level, "debug"},
		{c.Quota.OTPsPerDay, 0},
		{c.Guard.Attempts, 0},
		{c.Conversation.Deadline, 20 * time.Second},
	} {
		if tc.got != tc.want {
			t.Errorf("got %v, want %v", tc.got, tc.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := environment{}.mustLoad(t)
	for _, tc := range []struct{ got, want any }{
		{c.Listen, "127.0.0.1:8080"},
		{c.Ops.Listen, "127.0.0.1:9464"},
		{c.DatabaseURL.IsEmpty(), true},
		{c.Inwebo.URL.String(), "https://otp.mpsa.com"},
		{c.Inwebo.Path, "/iwws/MAC"},
		{c.Inwebo.MacID, "bb8e981582b0f31353108fb020bead1c"},
		{c.Inwebo.Version, "Generator-1.0/0.2.11"},
		{c.Quota.OTPsPerDay, 6},
		{c.Guard.Attempts, 2},
		{c.Conversation.Deadline, 15 * time.Second},
		{c.HTTP.IdleTimeout > 75*time.Second, true}, // common load balancers keep connections for 60 s
	} {
		if tc.got != tc.want {
			t.Errorf("got %v, want %v", tc.got, tc.want)
		}
	}
}

func TestTheLastOfFileEnvironmentAndFlagsWins(t *testing.T) {
	t.Parallel()
	w := environment{files: map[string]string{"pimsd.yaml": "log:\n  level: debug\n"}}
	expect := func(level, origin string) {
		t.Helper()
		c := w.mustLoad(t)
		if c.Log.Level != level {
			t.Errorf("level is %s, want %s", c.Log.Level, level)
		}
		if got := effective(t, c, "log.level"); got.Origin != origin || got.Text != level {
			t.Errorf("effective is %+v, want it from %s", got, origin)
		}
	}
	expect("debug", "pimsd.yaml:2 log.level")
	w.environ = []string{"PIMSD_LOG_LEVEL=warn"}
	expect("warn", "PIMSD_LOG_LEVEL")
	w.args = []string{"--log-level=error"}
	expect("error", "--log-level")

	if got := effective(t, w.mustLoad(t), "listen"); got.Origin != "default" {
		t.Errorf("what was not set is from %s", got.Origin)
	}
}

func effective(t *testing.T, c *config.Config, key string) config.Effective {
	t.Helper()
	for _, e := range c.Effective() {
		if e.Key == key {
			return e
		}
	}
	t.Fatalf("no setting %s", key)
	return config.Effective{}
}

func TestTheFlagNamesTheFileBeforeTheEnvironment(t *testing.T) {
	t.Parallel()
	c := environment{
		files:   map[string]string{"a.yaml": "listen: localhost:1\n", "b.yaml": "listen: localhost:2\n"},
		environ: []string{"PIMSD_CONFIG=a.yaml"},
		args:    []string{"--config", "b.yaml"},
	}.mustLoad(t)
	if c.Listen != "localhost:2" {
		t.Errorf("listens on %s", c.Listen)
	}
}

func TestFilesThatSetNothing(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "# a comment\n", "inwebo:\n  # path: /iwcxf/MAC\nlog: {}\n"} {
		c := environment{files: map[string]string{"pimsd.yaml": content}}.mustLoad(t)
		for _, e := range c.Effective() {
			if e.Origin != "default" {
				t.Errorf("%q sets %s", content, e.Key)
			}
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	const want = "postgres://user:pass@host/db"
	for name, w := range map[string]environment{
		"environment": {environ: []string{"PIMSD_DATABASE_URL_FILE=/s"}},
		"file":        {files: map[string]string{"pimsd.yaml": "database_url_file: /s\n"}},
		"flag":        {args: []string{"--database-url-file=/s"}},
		"over a plain one": {
			files:   map[string]string{"pimsd.yaml": "database_url: postgres://other/db\n"},
			environ: []string{"PIMSD_DATABASE_URL_FILE=/s"},
		},
	} {
		if w.files == nil {
			w.files = map[string]string{}
		}
		for _, ending := range []string{"", "\n", "\r\n"} {
			w.files["/s"] = want + ending
			c := w.mustLoad(t)
			if c.DatabaseURL.Reveal() != want {
				t.Errorf("%s, ending %q: the secret did not arrive", name, ending)
			}
			if text := effective(t, c, "database_url").Text; text != "[secret]" {
				t.Errorf("%s: the effective value shows %q", name, text)
			}
		}
	}
}

// A command that does not use the sealing keys works where their file is missing, and still reads the other secrets.
func TestSealingKeysAreNotReadWhereTheyAreNotUsed(t *testing.T) {
	t.Parallel()
	in := config.Input{
		Environ: []string{"PIMSD_SEAL_KEYS_FILE=/keys", "PIMSD_DATABASE_URL_FILE=/url"}, Root: true,
		ReadFile: func(path string) ([]byte, error) {
			if path == "/url" {
				return []byte("postgres://h/d"), nil
			}
			return nil, fs.ErrNotExist
		},
	}
	if _, err := config.Load(in); err == nil {
		t.Error("a file of sealing keys that is missing is accepted")
	}
	in.WithoutKeys = true
	c, err := config.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	if c.FileOf("seal.keys") != "/keys" || c.DatabaseURL.Reveal() != "postgres://h/d" {
		t.Errorf("the file of the keys is %q, the database %q", c.FileOf("seal.keys"), c.DatabaseURL.Reveal())
	}
	if text := effective(t, c, "seal.keys").Text; text != "[secret]" {
		t.Errorf("the effective value shows %q", text)
	}
}

func TestASecretIsNoFlag(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("pimsd", pflag.ContinueOnError)
	config.Flags(flags)
	for _, name := range []string{"database-url", "inwebo-proxy-url"} {
		if flags.Lookup(name) != nil {
			t.Errorf("--%s would show a secret to every user of the machine", name)
		}
	}
	flags.String("database-url", "", "a flag of the command's own")
	if err := flags.Parse([]string{"--database-url=postgres://h/d"}); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Input{Flags: flags, Root: true})
	if err != nil || !c.DatabaseURL.IsEmpty() {
		t.Errorf("the flag was read as the setting, or refused: %v", err)
	}
}

func TestDataDirWhenNobodyNamesOne(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		environ []string
		root    bool
		want    string
	}{
		{[]string{"STATE_DIRECTORY=/var/lib/private/pimsd:/other", "HOME=/h"}, false, "/var/lib/private/pimsd"},
		{[]string{"STATE_DIRECTORY=/state"}, true, "/state"},
		{[]string{"HOME=/root", "XDG_DATA_HOME=/x"}, true, "/var/lib/pimsd"},
		{[]string{"HOME=/h", "XDG_DATA_HOME=/x"}, false, "/x/pimsd"},
		{[]string{"HOME=/h", "XDG_DATA_HOME=x"}, false, "/h/.local/share/pimsd"},
		{[]string{"HOME=/h"}, false, "/h/.local/share/pimsd"},
		{[]string{"HOME=/h", "PIMSD_DATA_DIR=/given"}, false, "/given"},
	} {
		c, err := config.Load(config.Input{Environ: tc.environ, Root: tc.root})
		if err != nil {
			t.Fatal(err)
		}
		if c.DataDir != tc.want {
			t.Errorf("%v: %s, want %s", tc.environ, c.DataDir, tc.want)
		}
	}
	if _, err := config.Load(config.Input{}); err == nil || !strings.Contains(err.Error(), "set PIMSD_DATA_DIR") {
		t.Errorf("without a home: %v", err)
	}
}

func TestDefaultIsWhatLoadStartsFrom(t *testing.T) {
	t.Parallel()
	want := config.Default()
	want.DataDir = "/var/lib/pimsd"
	if got := (environment{}).mustLoad(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheErrorIsFaults(t *testing.T) {
	t.Parallel()
	_, err := environment{environ: []string{"PIMSD_LOG_LEVEL=loud"}}.load(t)
	if _, ok := errors.AsType[config.Faults](err); !ok {
		t.Errorf("got %T", err)
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", " ": "", "10.0.0.0/8": "10.0.0.0/8", "192.0.2.7,2001:db8::/32": "192.0.2.7/32, 2001:db8::/32", "::1": "::1/128",
	} {
		c := environment{environ: []string{"PIMSD_HTTP_TRUSTED_PROXIES=" + text}}.mustLoad(t)
		if got := effective(t, c, "http.trusted_proxies").Text; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Editors, shells and orchestrators add a byte order mark or a line break that was not typed.
func TestMarksAndLineBreaksAroundValuesAreRemoved(t *testing.T) {
	t.Parallel()
	const url, key = "postgres://user:pass@host/db", "c2VhbGluZyBrZXk="
	for name, w := range map[string]environment{
		"a file of settings": {files: map[string]string{"pimsd.yaml": "\ufefflisten: localhost:1\r\ndatabase_url: " + url + "\r\nseal:\r\n  keys: " + key + "\r\n"}},
		"a block in a file":  {files: map[string]string{"pimsd.yaml": "listen: localhost:1\ndatabase_url: |\n  " + url + "\nseal:\n  keys: " + key + "\n"}},
		"the environment":    {environ: []string{"PIMSD_LISTEN=localhost:1\n", "PIMSD_DATABASE_URL=" + url + "\n", "PIMSD_SEAL_KEYS=\ufeff" + key + "\r\n"}},
		"the files of secrets": {
			files:   map[string]string{"/url": "\ufeff" + url + "\r\n"},
			environ: []string{"PIMSD_LISTEN=localhost:1", "PIMSD_DATABASE_URL_FILE=/url", "PIMSD_SEAL_KEYS=" + key},
		},
	} {
		c := w.mustLoad(t)
		if c.Listen != "localhost:1" || c.DatabaseURL.Reveal() != url || c.Seal.Keys.Reveal() != key {
			t.Errorf("%s: listens on %q, %q, %q", name, c.Listen, c.DatabaseURL.Reveal(), c.Seal.Keys.Reveal())
		}
	}
}

func TestIssuersFileMayBeginWithByteOrderMark(t *testing.T) {
	t.Parallel()
	c := environment{
		files:   map[string]string{"/issuers": "\ufeff- name: login\n"},
		environ: []string{"PIMSD_JWT_ISSUERS_FILE=/issuers"},
	}.mustLoad(t)
	if len(c.JWT.Issuers) != 1 || c.JWT.Issuers[0].Name != "login" {
		t.Errorf("%+v", c.JWT.Issuers)
	}
}

func TestSecretFilesAreReadBySecretReader(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PIMSD_DATABASE_URL_FILE", "PIMSD_SEAL_KEYS_FILE", "PIMSD_INWEBO_PROXY_URL_FILE"} {
		_, err := config.Load(config.Input{
			Environ: []string{name + "=/loose"}, Root: true,
			ReadFile:   func(string) ([]byte, error) { return []byte("x"), nil },
			ReadSecret: func(string) ([]byte, error) { return nil, errors.New("others may use /loose") },
		})
		if err == nil || !strings.Contains(err.Error(), name+" names a file that cannot be used: others may use /loose") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An empty value often comes from a variable that is not set, such as ${X:-} of Compose: the fault says that the name can be left out.
func TestRefusedEmptyValuesCanBeLeftOut(t *testing.T) {
	t.Parallel()
	refused := 0
	for _, e := range config.Default().Effective() {
		section, name, nested := strings.Cut(e.Key, ".")
		yaml := section + ": \"\"\n"
		if nested {
			yaml = section + ":\n  " + name + ": \"\"\n"
		}
		variable := "PIMSD_" + strings.ToUpper(strings.ReplaceAll(e.Key, ".", "_"))
		for source, w := range map[string]environment{
			"file":        {files: map[string]string{"pimsd.yaml": yaml}},
			"environment": {environ: []string{variable + "="}},
		} {
			if _, err := w.load(t); err != nil {
				refused++
				if !strings.Contains(err.Error(), "leave it out") {
					t.Errorf("%s, %s: %v", e.Key, source, err)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("no setting refuses an empty value")
	}
	for _, variable := range []string{"PIMSD_DATABASE_URL_FILE", "PIMSD_SEAL_KEYS_FILE", "PIMSD_INWEBO_PROXY_URL_FILE"} {
		if _, err := (environment{environ: []string{variable + "="}}).load(t); err == nil || !strings.Contains(err.Error(), "leave it out") {
			t.Errorf("%s: %v", variable, err)
		}
	}
	if _, err := (environment{files: map[string]string{"pimsd.yaml": "maintenance:\n"}}).load(t); err == nil ||
		!strings.Contains(err.Error(), "leave the line out") {
		t.Errorf("a line without a value: %v", err)
	}
}
