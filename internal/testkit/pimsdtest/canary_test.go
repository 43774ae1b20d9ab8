package pimsdtest_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// canaries are the secrets of a run, by what they are, in every form that they may be found in.
type canaries map[string]map[string]bool

// add notes a secret: as it is written, and as the hex of that; the bytes that it is the hex of, when it is, and upper case.
func (c canaries) add(what, value string) {
	if len(value) < 6 || strings.Trim(value, "0") == "" {
		return // an OTP so short may stand anywhere by chance; a device has a secret of zeros before it has its own
	}
	c.addForms(what, value, hex.EncodeToString([]byte(value)))
	if bytes, err := hex.DecodeString(value); err == nil && len(bytes) >= 8 {
		c.addForms(what, string(bytes), strings.ToUpper(value))
	}
}

func (c canaries) addForms(what string, forms ...string) {
	if c[what] == nil {
		c[what] = map[string]bool{}
	}
	for _, form := range forms {
		c[what][form] = true
	}
}

// addSealingKey notes every piece of a key that records are sealed with: half a key that was left behind is too much.
func (c canaries) addSealingKey(t *testing.T, line string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		t.Fatal(err)
	}
	for form, piece := range map[string]int{string(key): 8, line: 12, hex.EncodeToString(key): 12, fmt.Sprintf("%X", key): 12} {
		for i := range len(form) - piece + 1 {
			c.addForms("the sealing key", form[i:i+piece])
		}
	}
}

// sealingLine is the sealing key as it is written down: in the setting, or in the file of the data directory.
func sealingLine(t *testing.T, c *config.Config) string {
	t.Helper()
	text := c.Seal.Keys.Reveal()
	if text == "" {
		text = fileText(t, filepath.Join(c.DataDir, seal.FileName))
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			return line[strings.Index(line, ":")+1:] // behind its id, if it has one
		}
	}
	t.Fatal("there is no sealing key")
	return ""
}

// escaped wants none of the secrets in a text. But it wants that which must be there, or else nothing was looked at.
func (c canaries) escaped(t *testing.T, where, text, there string) {
	t.Helper()
	if !strings.Contains(text, there) {
		t.Errorf("%s does not even have %q", where, there)
	}
	for _, found := range c.foundIn(text) {
		t.Errorf("to %s has escaped %s", where, found)
	}
}

// foundIn returns the name of each secret that is in a text, with the form in which it is there.
func (c canaries) foundIn(text string) (found []string) {
	for what, forms := range c {
		for form := range forms {
			if strings.Contains(text, form) {
				found = append(found, fmt.Sprintf("%s: %q", what, form))
			}
		}
	}
	return found
}

// watch notes what inWebo knows and hears of the device.
func (c canaries) watch(a *pimsdtest.Account) {
	expected := a.Expected()
	for _, key := range []string{expected.K0, expected.K1, expected.PreviousK0, expected.PreviousK1} {
		c.add("a key", key)
	}
	c.add("the device secret", expected.Secret)
	c.add("the serial", expected.Serial)
	for _, x := range a.Daemon.Inwebo.History(anything) {
		for _, name := range []string{"Kma", "pin", "ms_val0", "R0", "R1", "R2", "code"} {
			c.add("the parameter "+name, x.Params.Get(name))
		}
	}
}

// None of the secrets shows in anything that a run leaves behind, on SQLite.
func TestNoSecretEscapes(t *testing.T) {
	t.Parallel()
	o := runScenario(t)
	d, a, secrets := o.daemon, o.account, o.secrets
	_, readyz := d.Ops("/readyz?verbose")
	_, metrics := d.Ops("/metrics")
	secrets.escaped(t, "the log", d.Log(), a.Name)
	secrets.escaped(t, "the log of tokens", d.Log(), `"denied":"bad_signature"`)
	secrets.escaped(t, "the failures", o.refused, "FAILED")
	secrets.escaped(t, "/metrics", metrics, "pimsd_otp_requests_total")
	secrets.escaped(t, "/readyz?verbose", readyz, "store")
	secrets.escaped(t, "the arguments", strings.Join(os.Args, " "), "test")
	secrets.escaped(t, "the configuration", fmt.Sprintf("%+v", d.Config.Effective()), "inwebo.url")
	secrets.escaped(t, "a check", fmt.Sprintf("%+v", app.Inspect(t.Context(), d.Config)), "inWebo")

	secrets.escaped(t, "the audit log", fmt.Sprintf("%+v", d.Audit()), a.Name)
	delete(secrets, "the serial") // is in records: it opens nothing
	secrets.escaped(t, "the files of the open store", everyFile(t, copied(t, d.Config.DataDir)), a.Name)
	d.Stop()
	secrets.escaped(t, "the transcript", fileText(t, o.transcript), `"exchange":"otp_finalize"`)
	secrets.escaped(t, "the traces", o.traces.texts.String(), "finalize")
	secrets.escaped(t, "the data directory", everyFile(t, d.Config.DataDir), a.Name)
}

// copied is a copy of a directory, the write-ahead log included. Another process makes it: in this one no code may open the
// files of a store that is open.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-r", dir, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if wal, err := os.Stat(filepath.Join(to, sqlite.FileName+"-wal")); err != nil || wal.Size() == 0 {
		t.Errorf("there is no write-ahead log to look into: %v", err)
	}
	return to
}

// everyFile is all that the files below a directory hold, but for the one that holds the sealing keys.
func everyFile(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() != seal.FileName {
			all.WriteString(fileText(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
