package inwebosim

import (
	"errors"
	"fmt"
	"sync"
)

// registry holds accounts, SMS codes and devices. Its lock is taken before a device's, never after.
type registry struct {
	seed uint64

	mu       sync.RWMutex
	accounts map[string]*account // by login
	codes    map[string]*smsCode // by value
	devices  map[string]*device  // by id
	serials  map[serialKey]*device
}

// account is a user of the service. The registry guards the number of its devices.
type account struct {
	login   string
	devices int

	mu        sync.Mutex // guards everything below; taken after a device's
	pin       string     // empty: each device has a PIN of its own
	isBlocked bool
	guesses   Guesses
}

type smsCode struct {
	account        *account
	isOnce, isUsed bool
}

type serialKey struct{ login, serial string }

func newRegistry(seed uint64) *registry {
	return &registry{
		seed:     seed,
		accounts: map[string]*account{},
		codes:    map[string]*smsCode{},
		devices:  map[string]*device{},
		serials:  map[serialKey]*device{},
	}
}

func (a Account) validate() error {
	var faults []error
	if a.Login == "" {
		faults = append(faults, errors.New("an account needs a login"))
	}
	if a.PIN != "" && !isPIN(a.PIN) {
		faults = append(faults, fmt.Errorf("account %q: the PIN must be 4 to 8 digits", a.Login))
	}
	for i, c := range a.Codes {
		if !isCode(c.Value) {
			faults = append(faults, fmt.Errorf("account %q: SMS code %d must be 4 to 16 ASCII letters and digits", a.Login, i))
		}
	}
	return errors.Join(faults...)
}

// addAccount adds an account, or codes to one that is there; a code that was spent is fresh again.
func (r *registry) addAccount(a Account) error {
	if err := a.validate(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range a.Codes {
		if have := r.codes[c.Value]; have != nil && have.account.login != a.Login {
			return fmt.Errorf("account %q: another account has one of its SMS codes", a.Login)
		}
	}
	acct := r.account(a.Login)
	acct.setPIN(a.PIN)
	for _, c := range a.Codes {
		r.codes[c.Value] = &smsCode{account: acct, isOnce: c.Once}
	}
	return nil
}

// account finds or makes the account; r.mu is held.
func (r *registry) account(login string) *account {
	acct := r.accounts[login]
	if acct == nil {
		acct = &account{login: login}
		r.accounts[login] = acct
	}
	return acct
}

// open returns the account that an SMS code can activate devices of; nil when the code is not good for one.
func (r *registry) open(code string) *account {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.codes[code]
	if c == nil || c.isOnce && c.isUsed {
		return nil
	}
	return c.account
}

// admit finds or makes the device of a serial and uses the code, or returns the err text of a refusal.
// The same serial is the same device and costs the account nothing (section 3).
func (r *registry) admit(code, serial string, limit int) (*device, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.codes[code]
	if c == nil || c.isOnce && c.isUsed {
		return nil, errCode
	}
	d := r.serials[serialKey{c.account.login, serial}]
	if d == nil {
		if limit > 0 && c.account.devices >= limit {
			return nil, errMaxTools
		}
		sum := digest(r.seed, "id", c.account.login+";"+serial)
		d = &device{id: fmt.Sprintf("%x", sum[:8]), serial: serial, login: c.account.login}
		d.rng = seededPCG(r.seed, "device", d.id)
		r.add(d, c.account)
	}
	c.isUsed = true
	return d, ""
}

// plant adds a device that is known from elsewhere.
func (r *registry) plant(d *device) error {
	d.rng = seededPCG(r.seed, "device", d.id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices[d.id] != nil {
		return fmt.Errorf("there is a device %q already", d.id)
	}
	if r.serials[serialKey{d.login, d.serial}] != nil {
		return fmt.Errorf("account %q has a device of that serial already", d.login)
	}
	r.add(d, r.account(d.login))
	return nil
}

func (r *registry) add(d *device, acct *account) {
	d.account = acct
	r.devices[d.id] = d
	r.serials[serialKey{d.login, d.serial}] = d
	acct.devices++
}

// find is the device of an id, nil when there is none.
func (r *registry) find(id string) *device {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.devices[id]
}

// forget removes a device: its id is unknown from now on, and its account has room for another.
func (r *registry) forget(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[id]
	if d == nil {
		return false
	}
	delete(r.devices, id)
	delete(r.serials, serialKey{d.login, d.serial})
	r.accounts[d.login].devices--
	return true
}

// user reports whether an account of that login exists, and whether it has a device.
func (r *registry) user(login string) (exists, hasDevice bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	acct := r.accounts[login]
	return acct != nil, acct != nil && acct.devices > 0
}
