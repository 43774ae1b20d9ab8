package historytest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit"
)

// on is the context of a call for an account.
func (h *harness) on(o op) context.Context {
	return context.WithValue(h.t.Context(), accountKey{}, h.accounts[o.Account])
}

// issue asks for an OTP.
func (h *harness) issue(p *process, o op, isRight bool) error {
	issued, err := p.service.IssueOTP(h.on(o), h.ask(o), pinOf(isRight))
	if p.dead() {
		return errDead
	}
	if err == nil && isRight && !h.site.Verify(issued.OTP.Reveal()) && !p.isOvertaken() { // another conversation has moved the restored row on
		h.fault("an OTP does not verify")
	}
	h.judgeError(p, o, isRight, err)
	return err
}

// issueAlone is issue for a lone caller: a call that a guard refuses has changed nothing, but for stamps that it corrected, once,
// after the clock went back. Some callers wait as they are told, and are not refused for the same reason then.
func (h *harness) issueAlone(p *process, o op) {
	before, _, errBefore := h.store.Fetch(h.t.Context(), h.accounts[o.Account])
	heard := h.site.Totals().Requests
	err := h.issue(p, o, !o.WrongPIN)
	if p.slept() || h.anySleeps() { // others have changed something meanwhile: of a crowd, one sleeps and one goes on elsewhere
		return
	}
	switch cause := otp.CauseOf(err); cause { //nolint:errorlint // the outermost cause is the question
	case otp.ErrBusy, otp.ErrPINHeldBack, otp.ErrPINLocked, otp.ErrQuota, otp.ErrCircuitOpen:
		after, _, errAfter := h.store.Fetch(h.t.Context(), h.accounts[o.Account])
		same := after.Revision == before.Revision && bytes.Equal(after.Body, before.Body)
		corrected := h.leapt && after.Revision == before.Revision+1
		if errBefore != nil || errAfter != nil || !same && !corrected || h.site.Totals().Requests != heard {
			h.fault("a request that was refused as %v changed something", cause)
		}
		if cause == otp.ErrPINHeldBack && len(o.Troubles) == 0 {
			h.expectStamps(o)
		}
	}
	if o.Other && !p.dead() && !h.anySleeps() {
		h.obey(p, o, err)
	}
}

func (h *harness) obey(p *process, o op, err error) {
	var wait *otp.RetryAfterError
	if !errors.As(err, &wait) {
		return
	}
	if wait.For <= 0 || wait.For > 24*time.Hour+otp.MaxLease {
		h.fault("a wait of %v for %v", wait.For, wait.Cause)
	}
	p.calm()
	h.pass(wait.For)
	if again := h.issue(h.processes[o.Process], o, true); errors.Is(again, wait.Cause) {
		h.fault("after %v: %v", err, again)
	}
}

// crowd lets several callers ask at once, in turn at the processes that are awake.
func (h *harness) crowd(_ *process, o op) {
	var all sync.WaitGroup
	for i, isRight := range o.Crowd {
		p := h.processes[i%len(h.processes)]
		if !h.sleeps(p) {
			all.Go(func() { _ = h.issue(p, o, isRight) })
		}
	}
	all.Wait()
}

// enroll makes a device for the first account, and replaces the one that it has if o.Other. Where inWebo knows no PIN, an
// enrollment chooses it.
func (h *harness) enroll(p *process, o op) {
	o = o.atItsAccount()
	isRight := !o.WrongPIN || !h.HasPIN
	err := h.enrollAs(p, o, isRight, o.Other)
	if err == nil && !isRight {
		h.fault("an enrollment with a wrong PIN is done")
	}
}

func (h *harness) enrollAs(p *process, o op, isRight, replace bool) error {
	h.hasOther(o)
	_, err := p.service.Enroll(h.on(o), h.ask(o), otp.EnrollRequest{SMSCode: h.code, PIN: pinOf(isRight), Replace: replace, Force: replace})
	if err != nil || p.dead() {
		h.mayLag()
	}
	if p.dead() {
		return errDead
	}
	h.judgeError(p, o, isRight, err)
	if err != nil || p.slept() { // others may have changed the record meanwhile
		return err
	}
	r, _ := h.record(h.accounts[o.Account])
	if r.Device == nil || r.Enrollment != nil || r.Device.EnrolledAt.IsZero() || r.Serial == "" {
		h.fault("after an enrollment that is done the record is %+v", r)
		return nil
	}
	file, err := h.site.Export(r.Device.Identity.ID)
	if err != nil {
		h.fault("inWebo does not know the device of an enrollment that is done: %v", err)
		return nil
	}
	h.files = append(h.files, file)
	return nil
}

// importDevice takes a device over from the file of another client: as it is now, or, if o.Other, as it was saved.
func (h *harness) importDevice(p *process, o op) {
	if len(h.files) == 0 {
		return
	}
	file := h.files[max(0, len(h.files)-1-o.Number)]
	expected := h.site.expected(file.ID)
	if !expected.Activated {
		return
	}
	if o.Other {
		h.mayLag()
	} else {
		file = expected.Device
		h.inStepAt[file.ID] = keysIn(expected)
	}
	found := testkit.ForeignDevice(file)
	if h.KeepsSecval {
		found.State.Unopened = ratchet.NewKma(rightPIN, found.Serial).Secval(found.State.Secret)
		found.State.Secret = secret.Bytes{}
	}
	before, _ := h.record(h.accounts[o.Account])
	h.hasOther(o)
	err := p.service.Import(h.on(o), h.ask(o), found)
	if p.slept() { // the file may be an old one by now
		h.mayLag()
	}
	if err == nil && before.Device != nil && !p.slept() {
		h.fault("an import has replaced a device")
	}
	h.judgeError(p, o, true, err)
}

func (h *harness) forget(p *process, o op) {
	err := p.service.Forget(h.on(o), h.ask(o))
	h.removed(p, o, err)
	h.judgeError(p, o, true, err)
}

func (h *harness) forgetDisabled(p *process, o op) {
	before, _ := h.record(h.accounts[o.Account])
	err := p.service.ForgetDisabled(h.on(o), h.ask(o))
	if err == nil && before.Device != nil && !before.Disabled && !p.slept() {
		h.fault("the device of an account that is not disabled is forgotten")
	}
	h.removed(p, o, err)
	h.judgeError(p, o, true, err)
}

// forgetTransferred forgets the device as after a transfer of the row to another store: as the row is now, or, if o.Other, as it was before
// it was last written.
func (h *harness) forgetTransferred(p *process, o op) {
	row, _, err := h.store.Fetch(h.t.Context(), h.accounts[o.Account])
	if err != nil {
		return
	}
	copied := row.Revision
	if o.Other {
		copied--
	}
	before, _ := h.record(h.accounts[o.Account])
	err = p.service.ForgetTransferred(h.on(o), h.ask(o), copied)
	if err == nil && before.Device != nil && copied != row.Revision && !p.slept() {
		h.fault("a device is forgotten whose record has changed since it was copied")
	}
	h.removed(p, o, err)
	h.judgeError(p, o, true, err)
}

func (h *harness) disable(p *process, o op) {
	err := p.service.Disable(h.on(o), h.ask(o))
	if err == nil && !p.slept() && !h.anyEnables(o) {
		h.note(h.isDisabled, o, true)
	}
	h.judgeError(p, o, true, err)
}

func (h *harness) enable(p *process, o op) {
	h.note(h.isDisabled, o, false)
	h.judgeError(p, o, true, p.service.Enable(h.on(o), h.ask(o)))
}

// unlock lets guesses through again, here and at inWebo, by an operator that is sure of the PIN.
func (h *harness) unlock(p *process, o op) {
	for _, id := range h.site.DeviceIDs() {
		must(h.t, h.site.Unblock(id))
	}
	must(h.t, h.site.UnblockAccount(h.login))
	h.recount(nil)
	h.judgeError(p, o, true, p.service.Unlock(h.on(o), h.ask(o)))
}

func (h *harness) clearQuota(p *process, o op) {
	h.forgetIssued()
	err := p.service.ClearQuota(h.on(o), h.ask(o))
	if r, _ := h.record(h.accounts[o.Account]); err == nil && len(r.Quota.Issues) > 0 && !p.slept() {
		h.fault("the quota is cleared, and %d OTPs count", len(r.Quota.Issues))
	}
	h.judgeError(p, o, true, err)
}

func (h *harness) countActivations(p *process, o op) {
	h.judgeError(p, o, true, p.service.CountActivations(h.on(o), h.ask(o), 1))
}

func (h *harness) doubt(p *process, o op) {
	h.judgeError(p, o, true, p.service.Doubt(h.on(o), h.ask(o)))
}

func (h *harness) reread(p *process, o op) {
	before, _ := h.record(h.accounts[o.Account])
	done, err := p.service.Reread(h.on(o), h.ask(o))
	if err == nil && !p.slept() {
		h.expectReread(o, before, done)
	}
	h.judgeError(p, o, true, err)
}

func (h *harness) askForPIN(p *process, o op) {
	_, wasKnown := h.record(h.accounts[o.Account])
	has, err := p.service.HasPIN(h.on(o), h.ask(o), h.code)
	if _, isKnown := h.record(h.accounts[o.Account]); isKnown && !wasKnown && !p.slept() {
		h.fault("a look has made a record")
	}
	if err == nil && has != h.HasPIN {
		h.fault("the account has a PIN: %v, and it is told %v", h.HasPIN, has)
	}
	h.judgeError(p, o, true, err)
}

// restart ends a process in order, and starts another one.
func (h *harness) restart(p *process, o op) {
	p.close()
	if !p.dead() {
		h.processes[o.Process] = newProcess(h)
	}
}

// rotate seals what is stored under a new key, if that can be done while a conversation could end.
func (h *harness) rotate(p *process, _ op) {
	h.addKey()
	time.Sleep(2 * time.Second) // rings look at their file once a second
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	err := seal.Rotation{Rows: h, Store: p, Keyring: p.keyring, Caller: "test"}.Run(ctx)
	if errors.Is(err, otp.ErrSealed) || errors.Is(err, seal.ErrDamaged) {
		h.fault("a rotation: %v", err)
	}
}

// List returns a rotation the rows of this history.
func (h *harness) List(ctx context.Context, after otp.Account, _ int) (rows []otp.Row, err error) {
	for _, account := range h.accounts {
		row, _, err := h.store.Fetch(ctx, account)
		switch {
		case errors.Is(err, otp.ErrNotFound) || account <= after:
		case err != nil:
			return nil, err
		default:
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// restore puts an older row in the place of the account's, as an operator does with a backup, who does not tell pimsd about it.
func (h *harness) restore(_ *process, o op) {
	account, other := h.accounts[o.Account], h.accounts[1-o.Account]
	older := h.snapshots[account]
	if r, _ := h.record(other); len(older) == 0 || r.Device != nil || r.Enrollment != nil { // which may have the device now
		return
	}
	h.forgetWhatIsKnown(account)
	h.store.restore(h.t, account, older[max(0, len(older)-1-o.Number)])
	r, _ := h.record(account)
	knowsOfNone := r.Device != nil && r.Lease == nil && len(r.Overtaken) == 0 && len(h.site.DeviceIDs()) == 1
	for p := range h.asleep {
		p.replace(account, knowsOfNone)
	}
}

func (h *harness) remove(_ *process, o op) {
	h.forgetWhatIsKnown(h.accounts[o.Account])
	for p := range h.asleep {
		p.remove(h.accounts[o.Account], !h.anyOther(o))
	}
	h.store.restore(h.t, h.accounts[o.Account], nil)
}

// leap lets the store's clock jump, each time by a quarter more: of two jumps alike, no one could tell which of them a stamp between them
// came from.
func (h *harness) leap(_ *process, o op) {
	const bound = 25 * 365 * 24 * time.Hour
	o.Time += o.Time / 4 * time.Duration(h.leaps)
	if to := time.Duration(h.ahead.Load()) + o.Time; to > bound || to < -bound {
		return
	}
	h.leaps++
	h.ahead.Add(int64(o.Time))
	h.leapBack(o.Time < 0)
}
