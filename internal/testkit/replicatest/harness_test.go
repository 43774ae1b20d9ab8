package replicatest_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

const pin = "1234"

// settings are PIMSD_ variables, without that prefix.
type settings map[string]string

// harness is one store, an inWebo, and the processes between them.
type harness struct {
	t        *testing.T
	inwebo   *inwebosim.Simulator
	settings settings // of each process that starts
	client   *http.Client
	clock    clock             // of the processes, and of core
	core     *app.Core         // the store, as commands beside the service have it
	key      string            // a backend's, for every account
	devices  map[string]string // by account, their ids at inWebo
	base     uint64            // the ratchet step of a device that was just enrolled
}

// onSQLite is a store in a directory of the test's own.
func onSQLite(t *testing.T) settings {
	t.Helper()
	return settings{"DATA_DIR": filepath.Join(t.TempDir(), "data")}
}

// onPostgres is a database of the test's own.
func onPostgres(server *pgtest.Server) func(*testing.T) settings {
	return func(t *testing.T) settings {
		t.Helper()
		return settings{
			"DATA_DIR":     t.TempDir(),
			"DATABASE_URL": server.Database(t).Reveal(),
			"SEAL_KEYS":    base64.StdEncoding.EncodeToString(make([]byte, 32)),
		}
	}
}

// newHarness makes a harness without accounts and processes. It ends with the test.
func newHarness(t *testing.T, store, with settings, knobs inwebosim.Knobs) *harness {
	t.Helper()
	knobs.OTPLife = inwebosim.Duration(time.Hour) // of a busy machine
	inwebo := testkit.StartInwebo(t, inwebosim.Options{Knobs: knobs, Accounts: []inwebosim.Account{}, CheckUsers: true, HistoryLimit: -1})
	w := &harness{
		t: t, inwebo: inwebo, devices: map[string]string{}, clock: clock(filepath.Join(t.TempDir(), "clock")),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}},
		settings: settings{
			"LISTEN": "127.0.0.1:0", "OPS_LISTEN": "127.0.0.1:0", "INWEBO_URL": inwebo.ProtocolURL(),
			"QUOTA_OTPS_PER_DAY": "0", "PIN_GUARD_ATTEMPTS": "0", "CONVERSATION_QUEUE_WAIT": "5m", "LOAD_CALLER_RATE": "0",
		},
	}
	maps.Copy(w.settings, store)
	maps.Copy(w.settings, with)
	t.Cleanup(w.end)
	var err error
	if w.core, err = app.OpenCore(t.Context(), w.configOf(w.settings), true, app.Observers{}); err != nil {
		t.Fatal(err)
	}
	w.key = w.newKey()
	return w
}

func (s settings) environ() (environ []string) {
	for name, value := range s {
		environ = append(environ, "PIMSD_"+name+"="+value)
	}
	return environ
}

// with returns the settings of the harness, where others do not replace them.
func (w *harness) with(others settings) settings {
	all := maps.Clone(w.settings)
	maps.Copy(all, others)
	return all
}

// configOf returns the configuration of those settings, on the clock of the harness.
func (w *harness) configOf(from settings) *config.Config {
	w.t.Helper()
	c, err := config.Load(config.Input{Environ: from.environ(), ReadFile: os.ReadFile})
	if err != nil {
		w.t.Fatal(err)
	}
	c.Now = w.clock.now
	return c
}

// end ends what processes leave.
func (w *harness) end() {
	w.client.CloseIdleConnections()
	if w.core != nil {
		if err := w.core.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *harness) newKey() string {
	w.t.Helper()
	scopes, _ := authn.ParseScopes(nil) // nothing to refuse
	key, text, err := authn.NewKey(authn.Grant{Backend: true, Scopes: scopes}, time.Now(), time.Time{})
	if err == nil {
		err = w.core.Store.AddKey(w.t.Context(), key)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return text.Reveal()
}

// enroll makes so many accounts, each with a device, and gives their names.
func (w *harness) enroll(n int) (accounts []string) {
	w.t.Helper()
	var workers sync.WaitGroup
	todo := make(chan string)
	for range 8 {
		workers.Go(func() {
			for account := range todo {
				w.enrolOne(account)
			}
		})
	}
	for i := range n {
		accounts = append(accounts, fmt.Sprintf("account-%04d", i))
		todo <- accounts[i]
	}
	close(todo)
	workers.Wait()
	w.findDevices()
	if len(w.devices) != n {
		w.t.Fatalf("%d devices are enrolled, want %d", len(w.devices), n)
	}
	w.base = w.status(accounts[0]).Step
	return accounts
}

// findDevices looks up the devices of all accounts.
func (w *harness) findDevices() {
	for _, id := range w.inwebo.DeviceIDs() {
		if device, err := w.inwebo.Export(id); err == nil {
			w.devices[device.Login] = id
		}
	}
}

func (w *harness) enrolOne(account string) {
	code := "code" + account[len("account-"):]
	err := w.inwebo.AddAccount(inwebosim.Account{Login: account, Codes: []inwebosim.Code{{Value: code, Once: true}}})
	if err == nil {
		_, err = w.core.OTP.Enroll(w.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"},
			otp.EnrollRequest{SMSCode: secret.NewText(code), PIN: secret.NewText(pin)})
	}
	if err != nil {
		w.t.Errorf("enroll %s: %v", account, err)
	}
}

// expected is what inWebo knows of the account's device.
func (w *harness) expected(account string) inwebosim.DeviceState {
	w.t.Helper()
	expected, err := w.inwebo.DeviceState(w.devices[account])
	if err != nil {
		w.t.Error(err)
	}
	return expected
}

// status is what the store has of the account.
func (w *harness) status(account string) otp.Status {
	w.t.Helper()
	status, err := w.core.OTP.Status(w.t.Context(), otp.Account(account))
	if err != nil {
		w.t.Error(err)
	}
	return status
}
