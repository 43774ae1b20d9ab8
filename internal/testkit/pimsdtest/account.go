package pimsdtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Account is one that has a device and a key.
type Account struct {
	Daemon             *Daemon // that it calls
	Name, PIN, SMSCode string
	Key                string // its API key, the whole text
}

// Enroll makes an account at inWebo, a device for it, and a key. An account that is there is enrolled again.
func (d *Daemon) Enroll(name, pin string) *Account {
	d.tb.Helper()
	a := &Account{Name: name, PIN: pin, SMSCode: smsCode(name), Daemon: d}
	if err := d.Inwebo.AddAccount(inwebosim.Account{Login: name, Codes: []inwebosim.Code{{Value: a.SMSCode, Once: true}}}); err != nil {
		d.tb.Fatal(err)
	}
	ask := otp.Request{Account: otp.Account(name), Caller: "test"}
	enrolling := otp.EnrollRequest{SMSCode: secret.NewText(a.SMSCode), PIN: secret.NewText(pin), Replace: true}
	if _, err := d.app.OTP.Enroll(d.tb.Context(), ask, enrolling); err != nil {
		d.tb.Fatal(err)
	}
	a.Key = d.Key(name)
	return a
}

// smsCode is the code of that account alone.
func smsCode(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:8])
}

// Key makes an API key for an account, enrolled or not, with those scopes, or with that for OTPs alone.
func (d *Daemon) Key(account string, scopes ...authn.Scope) string {
	d.tb.Helper()
	return d.keyFor(authn.Grant{Account: account, Scopes: scopes})
}

// BackendKey makes a backend's API key, for all accounts with the prefix.
func (d *Daemon) BackendKey(prefix string, scopes ...authn.Scope) string {
	d.tb.Helper()
	return d.keyFor(authn.Grant{Backend: true, Prefix: prefix, Scopes: scopes})
}

func (d *Daemon) keyFor(grant authn.Grant) string {
	d.tb.Helper()
	key, text, err := authn.NewKey(grant, time.Now(), time.Time{})
	if err != nil {
		d.tb.Fatal(err)
	}
	d.StoreKey(key)
	return text.Reveal()
}

// StoreKey puts a key into the store as it is.
func (d *Daemon) StoreKey(key authn.Key) {
	d.tb.Helper()
	if err := d.app.Store.AddKey(d.tb.Context(), key); err != nil {
		d.tb.Fatal(err)
	}
}

// KeyUsed is when the store last heard of a use of the key.
func (d *Daemon) KeyUsed(key string) time.Time {
	d.tb.Helper()
	id := strings.Split(key, "_")[1]
	found, _, err := d.app.Store.KeyByID(d.tb.Context(), id)
	if err != nil {
		d.tb.Error(err)
	}
	return found.LastUsedAt
}

// On is the account as it calls another daemon, a replica of its own.
func (a *Account) On(d *Daemon) *Account {
	there := *a
	there.Daemon = d
	return &there
}

// OTP asks the daemon for one.
func (a *Account) OTP(pin string) Answer {
	a.Daemon.tb.Helper()
	return a.Daemon.Ask(a.Key, WithPIN(pin))
}

// Repeatable is OTP with an Idempotency-Key.
func (a *Account) Repeatable(key, pin string) Answer {
	a.Daemon.tb.Helper()
	return a.Daemon.Ask(a.Key, WithPIN(pin), "Idempotency-Key: "+key)
}

// Verify asks inWebo, as a relying party does, whether an OTP of this account is good. It is good once.
func (a *Account) Verify(given string) bool {
	a.Daemon.tb.Helper()
	query := url.Values{
		"action": {"authenticateExtended"}, "serviceId": {"1"}, "userId": {a.Name}, "token": {given}, "format": {"json"},
	}
	var answer inwebosim.Verification
	if err := json.Unmarshal([]byte(a.Daemon.get(a.Daemon.Inwebo.ProtocolURL()+"/FS?"+query.Encode()).Body), &answer); err != nil {
		a.Daemon.tb.Errorf("inWebo's verification is no JSON: %v", err)
	}
	return answer.Err == "OK"
}

// Expected is what inWebo knows of the account's device.
func (a *Account) Expected() inwebosim.DeviceState {
	a.Daemon.tb.Helper()
	for _, id := range a.Daemon.Inwebo.DeviceIDs() {
		if expected, err := a.Daemon.Inwebo.DeviceState(id); err == nil && expected.Login == a.Name {
			return expected
		}
	}
	a.Daemon.tb.Errorf("inWebo has no device of %q", a.Name)
	return inwebosim.DeviceState{}
}

// Plant plants a fault for the requests of the account's device, regardless of the id in its Match.
func (a *Account) Plant(n inwebosim.Fault) {
	a.Daemon.tb.Helper()
	n.ID = a.Expected().ID
	if err := a.Daemon.Inwebo.Plant(n); err != nil {
		a.Daemon.tb.Fatal(err)
	}
}
