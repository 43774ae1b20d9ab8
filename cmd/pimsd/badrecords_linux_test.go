package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// condition is what is wrong with a store of three accounts, of which bob and dave are affected.
type condition int

const (
	keyMissing condition = iota // the key of the two records is missing, and another one is current
	bodyDamaged
	noKeys // there is no key file at all
	conditions
)

func (c condition) String() string { return [...]string{"missing key", "damaged body", "no keys"}[c] }

// site is a store and its sealing keys, of which the test knows how to damage them.
type site struct {
	*harness
	keyFile string
	query   func(statement string)
	serial  string // of dave's device
}

// newSite makes a store with its accounts, in the condition.
func newSite(t *testing.T, server *pgtest.Server, c condition) *site {
	t.Helper()
	s := &site{harness: newHarness(t), keyFile: filepath.Join(t.TempDir(), "keys")}
	s.environ = append(s.environ, "PIMSD_SEAL_KEYS_FILE="+s.keyFile, "PIMSD_DATA_DIR="+filepath.Join(t.TempDir(), "data"))
	s.query = s.querySQLite
	if server != nil {
		s.usePostgres(server)
	}
	const first, second = "1", "2"
	s.setKeys(first)
	s.serve().stop(t) // which makes the store
	s.enrollAs("bob")
	s.enrollAs("dave")
	s.serial = s.lastSerial()
	if c == keyMissing {
		s.setKeys(second, first)
		s.serve().stop(t) // which seals under the new key from now on
	}
	s.enroll()
	switch c {
	case keyMissing:
		s.setKeys(second)
	case bodyDamaged:
		s.query(`UPDATE device SET body = CAST('{' AS ` + s.blob() + `) WHERE account <> 'alice'`)
	default:
		if err := os.Remove(s.keyFile); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) usePostgres(server *pgtest.Server) {
	s.t.Helper()
	url := server.Database(s.t).Reveal()
	file := filepath.Join(s.t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(url), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.environ = append(s.environ, "PIMSD_DATABASE_URL_FILE="+file)
	s.query = func(statement string) { server.Exec(s.t, url, statement) }
}

func (s *site) blob() string {
	for _, entry := range s.environ {
		if strings.HasPrefix(entry, "PIMSD_DATABASE_URL_FILE=") {
			return "bytea"
		}
	}
	return "BLOB"
}

// dir is the data directory: the last entry of the environment counts.
func (s *site) dir() (dir string) {
	for _, entry := range s.environ {
		if value, ok := strings.CutPrefix(entry, "PIMSD_DATA_DIR="); ok {
			dir = value
		}
	}
	return dir
}

func (s *site) querySQLite(statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir(), "pimsd.db"))
	if err == nil {
		_, err = db.ExecContext(s.t.Context(), "PRAGMA ignore_check_constraints = 1; "+statement)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// setKeys writes the key file; each key consists of one repeated character.
func (s *site) setKeys(keys ...string) {
	s.t.Helper()
	var text strings.Builder
	for _, key := range keys {
		text.WriteString(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(key), 32)) + "\n")
	}
	if err := os.WriteFile(s.keyFile, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// lastSerial is that of the last device that was activated.
func (s *site) lastSerial() string {
	s.t.Helper()
	all := s.simulator.History(inwebosim.Match{Action: "ActionFinalize", Mode: "activate"})
	if len(all) == 0 {
		s.t.Fatal("no device was activated")
	}
	return all[len(all)-1].Params.Get("serial")
}

// try runs a command and returns all that it says, and its status.
func (s *site) try(stdin string, args ...string) (said string, status int) {
	s.t.Helper()
	cmd := s.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// What is wrong with one record, or with the keys, stops no command that does not need them, and none that repairs it.
func TestCommandsWhereRecordsCannotBeRead(t *testing.T) {
	t.Parallel()
	const code, same, failed, unusable = inwebosim.DefaultCode + "\n" + testPIN + "\n", -1, statusFailed, statusUsage
	type result struct {
		status int
		says   string
	}
	ok := result{}
	all := func(r result) [conditions]result { return [conditions]result{r, r, r} }
	damaged := result{failed, `the record of account "bob" is damaged`}
	advised := result{failed, "pimsd enroll bob --replace"}
	steps := []struct {
		args, stdin string
		want        [conditions]result
	}{
		{args: "audit list", want: all(result{0, "bob "})},
		{args: "account list", want: [conditions]result{{0, "bob "}, {failed, "2 records cannot be read"}, {0, "bob "}}},
		{args: "account show --account alice", want: all(result{0, "idle"})},
		{args: "account show --account bob", want: [conditions]result{{0, "idle"}, advised, {0, "idle"}}},
		{args: "account unlock --account bob", want: [conditions]result{ok, advised, ok}},
		{args: "account unlock --quota --account bob", want: [conditions]result{ok, damaged, ok}},
		{args: "account disable --account bob", want: all(ok)},
		{args: "account enable --account bob", want: all(ok)},
		{args: "account sms --account bob --used 1", want: [conditions]result{ok, advised, ok}},
		{args: "account doubt --account bob", want: [conditions]result{ok, advised, ok}},
		{args: "account doubt --all", want: [conditions]result{{0, "3 in doubt"}, {failed, "2 records cannot be read"}, {0, "3 in doubt"}}},
		{args: "account list", want: [conditions]result{{0, "bob "}, {failed, "2 records cannot be read"}, {0, "bob "}}},
		{args: "key create --account alice", want: all(result{0, "pims_"})},
		{args: "key list", want: all(result{0, "account alice"})},
		{args: "key revoke " + keyID, want: all(result{0, "is revoked"})},
		{args: "seal list", want: [conditions]result{
			{failed, "missing  2\npimsd: the keys of 2 records are missing\nPut the right key file back"},
			{0, "current  3"},
			{failed, "missing  3\npimsd: the sealing keys cannot be read: "},
		}},
		{args: "check", want: [conditions]result{{failed, "lacks keys that records are sealed under"}, {failed, "2 records cannot be read"}, {unusable, "cannot be used"}}},
		{args: "account reread --all", want: [conditions]result{{0, "No account has"}, {failed, "2 records cannot be read"}, {unusable, ""}}},
		{args: "serve", want: [conditions]result{{same, ""}, {same, ""}, {unusable, ""}}},
		{args: "otp --account alice", stdin: testPIN + "\n", want: [conditions]result{ok, ok, {unusable, ""}}},
		{args: "otp --account bob", stdin: testPIN + "\n", want: [conditions]result{{failed, "sealing key"}, damaged, {unusable, ""}}},
		{args: "enroll --account bob --no-check", stdin: code, want: [conditions]result{{failed, "sealing key"}, damaged, {unusable, ""}}},
		{args: "enroll --account bob --replace --no-check", stdin: code, want: [conditions]result{ok, ok, {unusable, ""}}},
		{args: "otp --account bob", stdin: testPIN + "\n", want: [conditions]result{ok, ok, {unusable, ""}}},
		{args: "account forget --account dave --yes", want: [conditions]result{ok, ok, ok}},
		{args: "account show --account dave", want: all(result{0, "not enrolled"})},
		{args: "enroll --account dave --no-check", stdin: code, want: [conditions]result{ok, ok, {unusable, ""}}},
		{args: "account list", want: all(result{0, "alice "})},
	}
	for name, server := range map[string]*pgtest.Server{"SQLite": nil, "PostgreSQL": pgtest.New(t)} {
		for c := range conditions {
			t.Run(name+", "+c.String(), func(t *testing.T) {
				s := newSite(t, server, c)
				for _, step := range steps {
					want := step.want[c]
					if want.status == same { // the service serves
						s.serve().stop(t)
						continue
					}
					args := step.args
					if strings.HasSuffix(args, keyID) {
						args = strings.ReplaceAll(args, keyID, s.anyKey())
					}
					said, status := s.try(step.stdin, strings.Fields(args)...)
					if status != want.status || !strings.Contains(said, want.says) {
						t.Errorf("pimsd %s ends with status %d; want %d and %q: %s", args, status, want.status, want.says, said)
					}
				}
				if c != noKeys && s.lastSerial() != s.serial {
					t.Error("the account has another serial after it was forgotten: it takes one more of the devices that it may have")
				}
			})
		}
	}
}

// keyID is replaced by the id of an API key.
const keyID = "KEY"

// anyKey is the id of an API key; empty when there is none.
func (s *site) anyKey() string {
	s.t.Helper()
	var keys []listedKey
	said, _ := s.try("", "key", "list", "--json")
	if err := json.Unmarshal([]byte(said), &keys); err != nil {
		s.t.Fatalf("%v: %s", err, said)
	}
	if len(keys) == 0 {
		return ""
	}
	return keys[0].ID
}
