package otp_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// twoStores are two ways to one store, as two processes have them.
func twoStores() map[string]func(t *testing.T) [2]otp.Store {
	return map[string]func(t *testing.T) [2]otp.Store{
		"in memory": func(*testing.T) [2]otp.Store {
			memory := storetest.NewMemory()
			return [2]otp.Store{memory, memory}
		},
		"on SQLite": func(t *testing.T) [2]otp.Store {
			dir := filepath.Join(t.TempDir(), "data")
			return [2]otp.Store{openSQLite(t, dir), openSQLite(t, dir)}
		},
	}
}

// Of imports of one file at the same time, into one account or several, exactly one succeeds.
func TestOneDeviceOneAccount(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	found := foreign(t, e, false)
	for name, open := range twoStores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores := open(t)
			for round := range 10 {
				file := found
				file.Serial += "/_/" + found.Serial[:1+round]
				results := make([]error, 6)
				var all sync.WaitGroup
				for i := range results {
					service := otp.New(stores[i%2], nil, limits(), nil)
					account := otp.Account([]string{"alice", "bob", "carol"}[i%3] + string(rune('0'+round)))
					all.Go(func() {
						results[i] = service.Import(context.Background(), otp.Request{Account: account, Caller: "test"}, file)
					})
				}
				all.Wait()
				succeeded := 0
				for _, err := range results {
					switch {
					case err == nil:
						succeeded++
					case !errors.Is(err, otp.ErrDeviceTaken) && !errors.Is(err, otp.ErrAlreadyEnrolled):
						t.Errorf("refused with %v", err)
					}
				}
				if succeeded != 1 {
					t.Errorf("%d imports of one file succeed", succeeded)
				}
			}
		})
	}
}

// moving is a device that wanders from account to account of one store.
type moving struct {
	*enrollee
	service *otp.Service
	found   otp.ForeignDevice
}

func newMoving(t *testing.T) *moving {
	e := newEnrollee(t, usual)
	m := &moving{enrollee: e, found: foreign(t, e, false)}
	atOnce := limits()
	atOnce.Guard.Pause = 0
	m.service = otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), atOnce, nil)
	t.Cleanup(func() { drained(t, m.service) })
	return m
}

func (m *moving) as(account otp.Account) otp.Request {
	return otp.Request{Account: account, Caller: "test"}
}

func (m *moving) issue(t *testing.T, account otp.Account, pin secret.Text) error {
	t.Helper()
	issued, err := m.service.IssueOTP(t.Context(), m.as(account), pin)
	if err == nil && !m.sim.Verify(issued.OTP.Reveal()) {
		t.Errorf("an OTP of %s does not verify", account)
	}
	return err
}

// What was counted of a device goes with it, from account to account, however often it is forgotten and imported.
func TestADeviceTakesItsCountsAlong(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	if err := m.issue(t, "alice", wrongPIN); otp.CauseOf(err) != otp.ErrInDoubt {
		t.Fatal(err)
	}
	for _, step := range []struct{ from, to otp.Account }{{"alice", "alice"}, {"alice", "bob"}, {"bob", "alice"}, {"alice", "carol"}} {
		must(t, m.service.Forget(t.Context(), m.as(step.from)))
		must(t, m.service.Import(t.Context(), m.as(step.to), m.found))
		if status, err := m.service.Status(t.Context(), step.to); err != nil || status.WrongPINs != 1 {
			t.Errorf("from %s to %s: %d wrong PINs (%v)", step.from, step.to, status.WrongPINs, err)
		}
	}
	if err := m.issue(t, "carol", wrongPIN); otp.CauseOf(err) != otp.ErrInDoubt {
		t.Fatal(err)
	}
	must(t, m.service.Forget(t.Context(), m.as("carol")))
	must(t, m.service.Import(t.Context(), m.as("dave"), m.found))
	if err := m.issue(t, "dave", rightPIN); !errors.Is(err, otp.ErrPINLocked) {
		t.Errorf("after two wrong PINs in two accounts: %v", err)
	}
	if wrong := m.truth(t).WrongInARow; wrong != 2 {
		t.Errorf("inWebo counts %d wrong PINs", wrong)
	}

	// A success ends what was counted, also for the account that had the device before.
	must(t, m.service.Unlock(t.Context(), m.as("dave")))
	must(t, m.issue(t, "dave", rightPIN))
	must(t, m.service.Forget(t.Context(), m.as("dave")))
	must(t, m.service.Import(t.Context(), m.as("erin"), m.found))
	status, err := m.service.Status(t.Context(), "erin")
	if err != nil || status.WrongPINs != 0 || *status.OTPsLeft != limits().OTPsPerDay-1 {
		t.Errorf("after a success: %+v, %d OTPs left (%v)", status, *status.OTPsLeft, err)
	}
}

// The count of SMS activations goes along, too.
func TestADeviceTakesItsActivationsAlong(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	_, err := m.service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
	must(t, err)
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	if status, err := m.service.Status(t.Context(), "bob"); err != nil || status.Activations != 1 {
		t.Errorf("the other account has tried %d activations (%v)", status.Activations, err)
	}
}

// An account that enrolls again, while another account has the device of its serial, gets a serial of its own.
func TestEnrollmentBesideTheOldDevice(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	must(t, m.issue(t, "bob", rightPIN))
	_, err := m.service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
	must(t, err)
	for _, account := range []otp.Account{"alice", "bob", "alice"} {
		must(t, m.issue(t, account, rightPIN))
	}
	m.account = "alice"
	if serial := m.record(t).Serial; serial == m.found.Serial || serial == "" {
		t.Errorf("the new device has the serial %q", serial)
	}
}

// A device whose enrollment is under way, or broke off, cannot be imported by another account: inWebo may know it under
// that serial.
func TestImportOfADeviceThatIsBeingEnrolled(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	m.account = "alice"
	n := silences(m.sim)[2].simFault // an answer is lost
	n.Match = activateFinalize.match
	must(t, m.sim.Plant(n))
	if _, err := m.service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN}); err == nil {
		t.Fatal("enrolled")
	}
	if err := m.service.Import(t.Context(), m.as("bob"), m.found); !errors.Is(err, otp.ErrDeviceTaken) {
		t.Errorf("told %v", err)
	}
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
}

// A row that was deleted while its device was asked for an OTP does not come back with a device that another account has
// imported meanwhile.
func TestADeletedRowTakesNoDeviceBack(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	client := &afterFinalize{Inwebo: wire(t, m.sim.ProtocolURL(), time.Minute), then: func() {
		m.memory.Delete("alice")
		must(t, otp.New(m.memory, nil, limits(), nil).Import(t.Context(), m.as("bob"), m.found))
	}}
	service := otp.New(m.memory, client, limits(), nil)
	defer drained(t, service)
	if _, err := service.IssueOTP(t.Context(), m.as("alice"), rightPIN); otp.CauseOf(err) != otp.ErrSuperseded {
		t.Errorf("told %v", err)
	}
	m.account = "alice"
	if r := m.record(t); r.Device != nil || r.Doubt != nil || len(r.Quota.Issues) != 1 {
		t.Errorf("the deleted record is %+v", r)
	}
	m.account = "bob"
	if r := m.record(t); r.Device == nil || r.Doubt == nil {
		t.Errorf("the other account's record is %+v", r)
	}
}

// inTheWay is a store that calls back, once, after a device was refused to an account because another account has it.
type inTheWay struct {
	otp.Store
	once sync.Once
	then func()
}

func (s *inTheWay) Create(ctx context.Context, w otp.Write) error {
	err := s.Store.Create(ctx, w)
	if errors.Is(err, otp.ErrDeviceTaken) {
		s.once.Do(s.then)
	}
	return err
}

// While a settle finds that another account has the device, that account forgets it, and the first account imports it again: the next try
// keeps the device.
func TestALateAnswerTakesNoImportedDeviceAway(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	others := otp.New(m.memory, nil, limits(), nil)
	client := &afterFinalize{Inwebo: wire(t, m.sim.ProtocolURL(), time.Minute), then: func() {
		m.memory.Delete("alice")
		must(t, others.Import(t.Context(), m.as("bob"), m.found))
	}}
	store := &inTheWay{Store: m.memory, then: func() {
		must(t, others.Forget(t.Context(), m.as("bob")))
		must(t, others.Import(t.Context(), m.as("alice"), m.found))
	}}
	service := otp.New(store, client, limits(), nil)
	defer drained(t, service)
	if _, err := service.IssueOTP(t.Context(), m.as("alice"), rightPIN); otp.CauseOf(err) != otp.ErrSuperseded {
		t.Errorf("told %v", err)
	}
	m.account = "alice"
	if r := m.record(t); r.Device == nil || r.Doubt == nil {
		t.Errorf("the record is %+v", r)
	}
}

// A success or an unlock in the account that has the device ends what was counted, also for an account that had it before and
// gets it back.
func TestADeviceThatComesBackBringsTheNewestCounts(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	for range 2 {
		_ = m.issue(t, "alice", wrongPIN)
	}
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	must(t, m.service.Unlock(t.Context(), m.as("bob")))
	must(t, m.issue(t, "bob", rightPIN))
	must(t, m.service.Forget(t.Context(), m.as("bob")))
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	status, err := m.service.Status(t.Context(), "alice")
	if err != nil || status.WrongPINs != 0 || status.PINLocked || *status.OTPsLeft != limits().OTPsPerDay-1 {
		t.Errorf("the first account again: %+v, %d OTPs left (%v)", status, *status.OTPsLeft, err)
	}
}

// An account that enrolls its old device again, which another account has had since, goes on from what that account counted.
func TestEnrollmentOfADeviceThatWasElsewhere(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	for range 2 {
		_ = m.issue(t, "bob", wrongPIN)
	}
	must(t, m.service.Forget(t.Context(), m.as("bob")))
	login := inwebosim.Account{Login: "owner", PIN: rightPIN.Reveal(), Codes: []inwebosim.Code{{Value: ownersCode.Reveal()}}}
	must(t, m.sim.AddAccount(login))
	_, err := m.service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: ownersCode, PIN: wrongPIN})
	if !errors.Is(err, otp.ErrPINLocked) {
		t.Errorf("an enrollment after two wrong PINs elsewhere: %v", err)
	}
}

// mustAllowOneMore wants that the account forwards one more wrong PIN and no other.
func (m *moving) mustAllowOneMore(t *testing.T, account otp.Account) {
	t.Helper()
	for range 3 {
		_ = m.issue(t, account, wrongPIN)
	}
	if truth := m.truth(t); truth.WrongInARow != 2 {
		t.Errorf("inWebo counts %d wrong PINs", truth.WrongInARow)
	}
}

// rowOf returns the row that the account has, with the claim of its device.
func (m *moving) rowOf(t *testing.T, account otp.Account, active bool) otp.Row {
	t.Helper()
	m.account = account
	row := m.row(t)
	row.Claim = otp.Claim{Serial: string(m.found.Serial), Active: active}
	return row
}

// What is left of a damaged record passes on what it may have counted, also where another account had the device before.
func TestDamagedRecordPassesOnItsCounts(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []bool{true, false} {
		m := newMoving(t)
		must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
		must(t, m.service.Forget(t.Context(), m.as("bob")))
		must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
		_ = m.issue(t, "alice", wrongPIN)
		if forgotten {
			must(t, m.service.Forget(t.Context(), m.as("alice")))
		}
		row := m.rowOf(t, "alice", !forgotten)
		row.Body = []byte("{")
		m.memory.Restore(row)
		if !forgotten {
			must(t, m.service.Forget(t.Context(), m.as("alice")))
		}
		must(t, m.service.Import(t.Context(), m.as("carol"), m.found))
		m.mustAllowOneMore(t, "carol")
	}
}

// What a restored account counts goes on with the device, also where another account had the device when the backup was restored.
func TestRestoredRecordPassesOnItsCounts(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	backup := m.rowOf(t, "alice", true)
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	must(t, m.service.Forget(t.Context(), m.as("bob")))
	alice, bob := m.rowOf(t, "alice", false), m.rowOf(t, "bob", false)
	restored, err := otp.Restored(backup, []otp.Row{alice, bob})
	must(t, err)
	m.memory.Restore(restored)
	remains, err := otp.Remains(bob, otp.GuardLimits{})
	must(t, err)
	m.memory.Restore(remains)
	_ = m.issue(t, "alice", wrongPIN)
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("carol"), m.found))
	m.mustAllowOneMore(t, "carol")
}

// A device is found with what was counted of it also when its account has got another device since.
func TestADeviceThatWasReplacedKeepsItsCounts(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	other := m.found
	other.Serial += "00"
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	for range 2 {
		_ = m.issue(t, "alice", wrongPIN)
	}
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("alice"), other))
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	if err := m.issue(t, "bob", wrongPIN); !errors.Is(err, otp.ErrPINLocked) {
		t.Errorf("after two wrong PINs in the account that has another device: %v", err)
	}
	if truth := m.truth(t); truth.WrongInARow != 2 {
		t.Errorf("inWebo counts %d wrong PINs", truth.WrongInARow)
	}
}

// An account that gets its first device back goes on from what was counted of it last, here or elsewhere.
func TestTheFirstDeviceComesBack(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	other := m.found
	other.Serial += "00"
	expect := func(when string, wrong int) {
		t.Helper()
		must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
		if status, err := m.service.Status(t.Context(), "alice"); err != nil || status.WrongPINs != wrong {
			t.Errorf("%s: %d wrong PINs (%v)", when, status.WrongPINs, err)
		}
		must(t, m.service.Forget(t.Context(), m.as("alice")))
		must(t, m.service.Import(t.Context(), m.as("alice"), other))
		must(t, m.service.Unlock(t.Context(), m.as("alice"))) // of the other device alone
		must(t, m.service.Forget(t.Context(), m.as("alice")))
	}
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	_ = m.issue(t, "alice", wrongPIN)
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	must(t, m.service.Import(t.Context(), m.as("alice"), other))
	must(t, m.service.Unlock(t.Context(), m.as("alice")))
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	expect("after another device", 1)
	expect("once more", 1)
	must(t, m.service.Import(t.Context(), m.as("bob"), m.found))
	must(t, m.issue(t, "bob", rightPIN))
	must(t, m.service.Forget(t.Context(), m.as("bob")))
	expect("after a success elsewhere", 0)
}
