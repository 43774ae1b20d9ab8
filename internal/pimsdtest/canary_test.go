package pimsdtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/checkup"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/pimsdtest"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// canaries are the secrets of a run, by what they are.
type canaries map[string]map[string]bool

func (c canaries) add(what, value string) {
	if len(value) < 6 {
		return // an OTP so short may stand anywhere by chance
	}
	if c[what] == nil {
		c[what] = map[string]bool{}
	}
	c[what][value] = true
}

// escaped wants none of the secrets in a text. But it wants that which must be there, or else nothing was looked at.
func (c canaries) escaped(t *testing.T, where, text, there string) {
	t.Helper()
	if !strings.Contains(text, there) {
		t.Errorf("%s does not even have %q", where, there)
	}
	for what, values := range c {
		for value := range values {
			if strings.Contains(text, value) {
				t.Errorf("%s has escaped to %s: %s", what, where, value)
			}
		}
	}
}

// watch notes what inWebo knows and hears of the device.
func (c canaries) watch(a *pimsdtest.Account) {
	truth := a.Truth()
	for _, key := range []string{truth.K0, truth.K1, truth.PreviousK0, truth.PreviousK1} {
		c.add("a key", key)
	}
	c.add("the device secret", truth.Secret)
	c.add("the serial", truth.Serial)
	for _, x := range a.Daemon.Inwebo.History(anything) {
		for _, name := range []string{"Kma", "pin", "ms_val0", "R0", "R1", "R2", "code"} {
			c.add("the parameter "+name, x.Params.Get(name))
		}
	}
}

// A whole run, in which about everything goes wrong that can, with every secret known: none of them shows.
func TestNoSecretEscapes(t *testing.T) {
	t.Parallel()
	const pin, wrong = "80517263", "90617253"
	traces, tokens := collect(t), newIssuer(t)
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.JWT.Issuers = append(s.Config.JWT.Issuers, tokens.Issuer)
		s.Config.Traces.OTLPURL = traces.url + "/v1/traces"
		s.Inwebo.Knobs.Ratchet, s.Inwebo.Knobs.SecondRound = inwebosim.RatchetK0K1dK1, inwebosim.SecondRoundEveryOther
		s.Inwebo.Knobs.LostFinalize, s.Inwebo.Knobs.WrongLimit = inwebosim.LostFinalizeLenient, 0
	})
	a := d.Enroll("alice of the canaries", pin)
	secrets, shown := canaries{}, &strings.Builder{}
	secrets.add("the PIN", pin)
	secrets.add("a wrong PIN", wrong)
	secrets.add("the SMS code", a.SMSCode)
	secrets.add("the API key", a.Key)
	note := func(got pimsdtest.Answer) {
		secrets.add("an OTP", got.OTP)
		secrets.watch(a)
		if got.OTP == "" {
			fmt.Fprintln(shown, got.Status, got.Header, got.Body)
		}
	}
	for life, want := range map[time.Duration]int{time.Hour: http.StatusOK, -time.Hour: http.StatusUnauthorized} {
		token := tokens.token(a.Name, life)
		for part := range strings.SplitSeq(token, ".") {
			secrets.add("a token", part)
		}
		got := d.Ask(token, pimsdtest.WithPIN(pin))
		if note(got); got.Status != want {
			t.Errorf("a token: %s", got.Body)
		}
		note(d.Ask(token[:len(token)-2], pimsdtest.WithPIN(pin)))
	}
	everythingGoesWrong(t, a, wrong, note)

	_, readyz := d.Ops("/readyz?verbose")
	_, metrics := d.Ops("/metrics")
	secrets.escaped(t, "the log", d.Log(), a.Name)
	secrets.escaped(t, "the log of tokens", d.Log(), "token refused")
	secrets.escaped(t, "the failures", shown.String(), "FAILED")
	secrets.escaped(t, "/metrics", metrics, "pimsd_otp_requests_total")
	secrets.escaped(t, "/readyz?verbose", readyz, "store")
	secrets.escaped(t, "the arguments", strings.Join(os.Args, " "), "test")
	secrets.escaped(t, "the configuration", fmt.Sprintf("%+v", d.Config.Effective()), "inwebo.url")
	secrets.escaped(t, "a check", fmt.Sprintf("%+v", checkup.Run(t.Context(), d.Config)), "inWebo")

	secrets.escaped(t, "the audit log", fmt.Sprintf("%+v", d.Audit()), a.Name)
	delete(secrets, "the serial") // stands in records: it opens nothing
	secrets.escaped(t, "the files of the open store", everyFile(t, copied(t, d.Config.DataDir)), a.Name)
	d.Stop()
	secrets.escaped(t, "the traces", traces.texts.String(), "finalize")
	secrets.escaped(t, "the data directory", everyFile(t, d.Config.DataDir), a.Name)
}

// copied is a copy of a directory, the write-ahead log included. Another process makes it: in this one nobody may open the
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

// everythingGoesWrong asks and asks, and notes every answer.
func everythingGoesWrong(t *testing.T, a *pimsdtest.Account, wrong string, note func(pimsdtest.Answer)) {
	t.Helper()
	for i := range 4 {
		note(a.Repeatable(fmt.Sprint("key ", i), a.PIN)) // whose answers are kept
		note(a.Repeatable(fmt.Sprint("key ", i), a.PIN))
	}
	note(a.OTP(wrong))
	for _, kind := range []inwebosim.Kind{
		inwebosim.KindLostAnswer, inwebosim.KindCut, inwebosim.KindTruncated, inwebosim.KindOtherRoot, inwebosim.KindDuplicate,
		inwebosim.KindDoctype, inwebosim.KindHTML, inwebosim.KindEmpty, inwebosim.KindErr, inwebosim.KindExtra, inwebosim.KindStatus,
	} {
		for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
			a.Plant(inwebosim.Nuisance{
				Kind: kind, Match: inwebosim.Match{Action: action}, Err: "NOK:" + a.SMSCode, Bytes: -9,
				Status: http.StatusFound, Location: a.Daemon.Inwebo.ProtocolURL() + "/iwws/MAC?code=" + a.SMSCode,
			})
			note(a.OTP(a.PIN))
			note(a.OTP(a.PIN))
		}
	}
	a.Key = a.Daemon.Key(a.Name, "otp", "enroll", "unlock")
	for _, mode := range []string{"activate", "ms"} {
		for _, kind := range []inwebosim.Kind{inwebosim.KindLostAnswer, inwebosim.KindTruncated, inwebosim.KindErr} {
			for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
				plant(t, a.Daemon, inwebosim.Nuisance{
					Kind: kind, Match: inwebosim.Match{Action: action, Mode: mode}, Err: "NOK:" + a.SMSCode, Bytes: -9, Times: 1,
				})
				newCode(t, a)
				note(check(a))
				note(enrol(a, "?replace=true"))
				note(enrol(a, "?replace="+a.PIN))
				a.Daemon.Inwebo.ClearNuisances()
			}
		}
	}
	newCode(t, a)
	note(enrol(a, "?replace=true"))
	note(status(a))
	for _, c := range inputCauses() {
		note(a.Daemon.Ask(a.Key, strings.ReplaceAll(c.body, "1234", a.PIN)))
	}
	for _, req := range strays(a) {
		req.URL.Path += "/" + a.PIN
		req.URL.RawQuery = "key=" + a.Key
		note(a.Daemon.Do(req))
	}
	note(a.Daemon.Ask(a.Key+"a", pimsdtest.WithPIN(a.PIN)))
	for _, where := range []string{"http://127.0.0.1:1", "https" + a.Daemon.Inwebo.ProtocolURL()[len("http"):], echo(t, a.Daemon.Inwebo.Handler())} {
		elsewhere(func(*testing.T, *pimsdtest.Account) string { return where })(t, a)
		note(a.OTP(a.PIN))
	}
}

// echo is the URL of inWebo behind something that answers a finalize with the request line, which is no HTTP.
func echo(t *testing.T, inwebo http.Handler) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("action") != pimsdtest.ActionFinalize {
			inwebo.ServeHTTP(w, r)
			return
		}
		inwebo.ServeHTTP(httptest.NewRecorder(), r) // so that inWebo has heard the secrets
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte(r.RequestURI + "\r\n"))
		_ = conn.Close()
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// everyFile is all that the files below a directory hold.
func everyFile(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
