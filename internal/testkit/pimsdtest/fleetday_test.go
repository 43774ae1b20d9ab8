package pimsdtest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// deviceFiles makes files of other clients, from one that a client has made: each has a device of its own.
type deviceFiles struct {
	t       *testing.T
	content []byte
	vector  struct{ PIN, Serial, ID, LastSync, SID, K0, K1, Secval string }
}

func newDeviceFiles(t *testing.T) *deviceFiles {
	t.Helper()
	const name = "../../devicefile/testdata/devices/psa_car_controller-otp.bin"
	f := &deviceFiles{t: t}
	var err error
	if f.content, err = os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &f.vector); err != nil {
		t.Fatal(err)
	}
	return f
}

// of returns the file of the account's device, which inWebo knows.
func (f *deviceFiles) of(d *pimsdtest.Daemon, account string) string {
	f.t.Helper()
	sum := sha256.Sum256([]byte(account))
	start, drawn, _ := strings.Cut(f.vector.Serial, "/_/") // two fields of the file
	fresh, id := hex.EncodeToString(sum[:16]), hex.EncodeToString(sum[16:24])
	serial := start + "/_/" + fresh
	kma := ratchet.NewKma(secret.NewText(f.vector.PIN), ratchet.Serial(serial))
	err := d.Inwebo.PlantDevice(inwebosim.Device{
		ID: id, Serial: serial, Login: account, PIN: f.vector.PIN, Services: []string{f.vector.SID}, K0: f.vector.K0, K1: f.vector.K1,
		Secret: hex.EncodeToString(kma.SecretOf(secret.NewText(f.vector.Secval)).Reveal()),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	file := bytes.ReplaceAll(f.content, []byte(drawn), []byte(fresh))
	return string(bytes.ReplaceAll(file, []byte(f.vector.ID), []byte(id)))
}

// A fleet of 1,000 devices needs nothing but REST for a whole day: they are imported, those in need are found and helped, one is
// disabled, a key is revoked, and the audit log is followed through the restart of a replica without a gap or a repeat.
func TestFleetDayOverREST(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		fleetDay(t, 1000, func(*pimsdtest.Setup) {})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		fleetDay(t, *devices, onPostgres(t))
	})
}

var devices = flag.Int("devices", 50, "how many devices the fleet has whose day is tested on PostgreSQL")

// fleetDay is the day of a fleet of that size on two replicas, which share a store.
func fleetDay(t *testing.T, size int, store func(*pimsdtest.Setup)) {
	t.Helper()
	d := pimsdtest.Start(t, store, func(s *pimsdtest.Setup) { s.Config.Guard.Attempts, s.Config.Guard.Pause = 1, 0 })
	replica := d.Replica()
	files := newDeviceFiles(t)
	admin := d.BackendKey("fleet-", authn.ScopeAdmin, authn.ScopeOTP)
	followed, next := map[int64]string{}, int64(0)
	follow := func(at *pimsdtest.Daemon) {
		for {
			page := resultOf[auditPage](t, at.Admin(admin, http.MethodGet, fmt.Sprintf("/v1/audit?after=%d&limit=1000&wait=1ms", next), ""))
			for _, line := range page.Lines {
				if _, seen := followed[line.ID]; seen {
					t.Fatalf("line %d is seen twice", line.ID)
				}
				followed[line.ID] = line.Account + " " + line.Action
			}
			if next = page.Next; len(page.Lines) == 0 {
				return
			}
		}
	}
	var all []string
	for i := range size {
		name := fmt.Sprintf("fleet-%04d", i)
		all = append(all, name)
		path := "/v1/accounts/" + name + "/device"
		file, octets := files.of(d, name), "Content-Type: application/octet-stream"
		if i == 0 {
			for range 2 {
				if got := d.Admin(admin, http.MethodPut, path+"?dryRun=true", file, octets); got.Status != http.StatusOK {
					t.Fatalf("%d %s", got.Status, got.Body)
				}
			}
		}
		if got := d.Admin(admin, http.MethodPut, path, file, octets); got.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, got.Status, got.Body)
		}
		if i > 0 {
			continue
		}
		for again, reason := range map[string]string{path: "already_enrolled", "/v1/accounts/fleet-x/device": "device_taken"} {
			got := d.Admin(admin, http.MethodPut, again, file, octets)
			if got.Status != http.StatusConflict || got.Code != 2349 || got.Header.Get("X-Pims-Reason") != reason {
				t.Errorf("%s: %d %s", again, got.Status, got.Body)
			}
		}
	}
	follow(replica)
	listed := func(query string) (names []string) {
		for after := ""; ; {
			page := resultOf[accountsPage](t, replica.Admin(admin, http.MethodGet, fmt.Sprintf("/v1/accounts?limit=%d&after=", max(size*3/10, 3))+url.QueryEscape(after)+query, ""))
			names = append(names, page.names()...)
			if after = page.Next; after == "" {
				return names
			}
			if query == "" { // an account before the page and one behind it come while others are listed
				d.Enroll(after+"-", aPIN)
				d.Enroll("fleet-!"+after[6:], aPIN)
			}
		}
	}
	names := listed("")
	for _, name := range all {
		if n := len(slices.DeleteFunc(slices.Clone(names), func(other string) bool { return other != name })); n != 1 {
			t.Fatalf("%s is in %d pages", name, n)
		}
	}
	key := resultOf[newKey](t, d.Admin(admin, http.MethodPost, "/v1/keys", `{"kind":"backend","prefix":"fleet-","scope":"otp"}`))
	otpOf := func(at *pimsdtest.Daemon, name, pin string) pimsdtest.Answer {
		return at.Ask(key.Key, pimsdtest.WithPIN(pin), "X-Pims-Account: "+name)
	}
	for _, name := range all[:3] {
		otpOf(d, name, "9999")
	}
	if got := listed("&needs=unlock"); !slices.Equal(got, all[:3]) {
		t.Errorf("to be unlocked are %q", got)
	}
	change := func(name, action string) {
		if got := d.Admin(admin, http.MethodPost, "/v1/accounts/"+name, fmt.Sprintf(`{"action":%q}`, action)); got.Status != http.StatusOK {
			t.Errorf("%s %s: %d %s", action, name, got.Status, got.Body)
		}
	}
	for _, name := range all[:3] {
		change(name, "unlock")
	}
	if got := listed("&needs=unlock"); len(got) != 0 {
		t.Errorf("still to be unlocked are %q", got)
	}
	if got := otpOf(d, all[0], files.vector.PIN); got.OTP == "" {
		t.Errorf("after the unlock: %d %s", got.Status, got.Body)
	}
	change(all[9], "disable")
	if got := otpOf(replica, all[9], files.vector.PIN); got.Header.Get("X-Pims-Reason") != "account_disabled" {
		t.Errorf("a disabled account: %d %s", got.Status, got.Body)
	}
	replica.Restart()
	d.Admin(admin, http.MethodDelete, "/v1/keys/"+key.ID, "")
	if got := otpOf(replica, all[0], files.vector.PIN); got.Status != http.StatusUnauthorized {
		t.Errorf("a revoked key: %d %s", got.Status, got.Body)
	}
	follow(replica)
	for _, line := range d.Audit() {
		mine := strings.HasPrefix(string(line.Account), "fleet-")
		if _, seen := followed[line.ID]; mine && !seen {
			t.Fatalf("line %d (%s %s) was missed", line.ID, line.Account, line.Action)
		}
	}
}
