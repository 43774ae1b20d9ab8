package historytest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

var rightPIN, wrongPIN = secret.NewText("1234"), secret.NewText("4321")

func pinOf(isRight bool) secret.Text {
	if isRight {
		return rightPIN
	}
	return wrongPIN
}

// env is what histories share, one after the other.
type env struct {
	site    *site
	kind    kind
	open    func(t *testing.T) store
	keyFile string
	logged  int64 // the id of the last line of the audit log that a history has seen

	histories chan history
	results   chan result
	ended     chan struct{}
}

// harness is one history: accounts, and the processes on their store, with what an observer of all of them knows.
type harness struct {
	history
	*env
	t       *testing.T
	store   store
	keyring *seal.Keyring // the observer's

	login     string
	code      secret.Text
	accounts  [2]otp.Account
	processes []*process
	asleep    map[*process]chan struct{} // the channel closes when the verb of the sleeping process has returned
	// background are writes that are applied later.
	background sync.WaitGroup
	snapshots  map[otp.Account][]snapshot
	files      []inwebosim.Device // devices as another client has saved them, the newest last
	troubles   atomic.Int64       // that befell the op under way
	leaps      int                // how often the store's clock has jumped

	checker
}

// number tells the histories of this process apart.
var number atomic.Int64

func newHarness(t *testing.T, e *env, store store, happens history) *harness {
	n := number.Add(1)
	h := &harness{
		history: happens, env: e, t: t, store: store,
		login: fmt.Sprintf("login-%d", n), code: secret.NewText(fmt.Sprintf("%08d", n)),
		asleep: map[*process]chan struct{}{}, snapshots: map[otp.Account][]snapshot{},
		checker: checker{
			wrongs: map[string][]*event{}, counted: map[string]count{},
			issued: map[string]uint32{}, issuedAt: map[string][]time.Time{},
			isSilent: map[otp.Account]bool{}, calls: map[string]*repeated{}, inStepAt: map[string]inwebosim.DeviceState{},
			isForgotten: map[otp.Account]bool{}, isDisabled: map[otp.Account]bool{}, hasMoved: map[otp.Account]bool{},
		},
	}
	for i := range h.accounts {
		h.accounts[i] = otp.Account(fmt.Sprintf("account-%d-%d", n, i))
	}
	knobs := h.site.Knobs()
	knobs.LostFinalize, knobs.Ratchet, knobs.SecondRound = h.Lost, h.Ratchet, h.SecondRound
	knobs.CheckPIN, knobs.RefusalsMove, knobs.Shuffle = h.ChecksPIN, h.RefusalsMove, !h.isDigested
	must(h.t, h.site.SetKnobs(knobs))
	account := inwebosim.Account{Login: h.login, Codes: []inwebosim.Code{{Value: h.code.Reveal()}}}
	if h.HasPIN {
		account.PIN = rightPIN.Reveal()
	}
	must(h.t, h.site.AddAccount(account))
	h.setKeys("")
	var err error
	h.keyring, err = seal.OpenFile(h.keyFile, false)
	must(h.t, err)
	for range h.Processes {
		h.processes = append(h.processes, newProcess(h))
	}
	return h
}

// setKeys writes the key file with a new key, before those that are in old.
func (h *harness) setKeys(old string) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	text := base64.StdEncoding.EncodeToString(key) + "\n" + old
	must(h.t, os.WriteFile(h.keyFile+".new", []byte(text), 0o600))
	must(h.t, os.Rename(h.keyFile+".new", h.keyFile))
}

// addKey makes a new key the current one. Those before it stay, for rows that are sealed under them.
func (h *harness) addKey() {
	old, err := os.ReadFile(h.keyFile)
	must(h.t, err)
	h.setKeys(string(old))
}

const day = 25 * time.Hour // and a little more

// begin returns the first account a device.
func (h *harness) begin() {
	if h.Enrolls {
		h.enroll(h.processes[0], op{})
		h.check()
		return
	}
	n := number.Add(1)
	known := inwebosim.Device{
		ID: fmt.Sprintf("%016x", n), Serial: fmt.Sprintf("test/_/%032x", n), Login: h.login, PIN: rightPIN.Reveal(),
		Secret: fmt.Sprintf("%032x", 7*n), K0: fmt.Sprintf("%032x", 3*n), K1: fmt.Sprintf("%032x", 5*n),
		Services: h.site.ServiceIDs(), Tsync: 1_700_000_000, // those of the account, which an enrollment does not change
	}
	must(h.t, h.site.PlantDevice(known))
	h.files = append(h.files, known)
	h.importDevice(h.processes[0], op{})
	h.check()
}

// now is the time of the store's clock.
func (h *harness) now() time.Time {
	return time.Now().Add(time.Duration(h.ahead.Load())).UTC().Truncate(time.Microsecond)
}

// processNow is the time that has passed in the processes.
func (h *harness) processNow() time.Time { return time.Now().Add(time.Duration(h.passed.Load())) }

// pass lets time pass. A long time passes by the clock of the store and by processNow alone: processes know no other times but
// those of what they do just now, which is over by then.
func (h *harness) pass(d time.Duration) {
	here := min(d, 2*limits().Deadline)
	time.Sleep(here)
	h.passed.Add(int64(d - here))
	h.ahead.Add(int64(d - here))
}

// record returns the account's row with its vault in the clear; found is false when there is none.
func (h *harness) record(account otp.Account) (r otp.Record, found bool) {
	row, _, err := seal.New(h.store, h.keyring).Fetch(h.t.Context(), account)
	if err == nil {
		r, err = otp.Decode(row)
	}
	if err != nil && !strings.Contains(err.Error(), otp.ErrNotFound.Error()) {
		h.fault("the record of %s: %v", account, err)
	}
	return r, err == nil
}

// ask is the caller.
func (h *harness) ask(o op) otp.Request {
	return otp.Request{Account: h.accounts[o.Account], Caller: "test", Transaction: "t"}
}
