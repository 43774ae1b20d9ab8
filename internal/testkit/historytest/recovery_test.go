package historytest

import (
	"errors"
	"slices"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// end lets everything come to rest, and recovers the accounts, unless it is known what becomes of them.
func (h *harness) end(isKnown bool) {
	h.wakeAll()
	for _, p := range h.processes {
		p.close()
	}
	h.processes = nil
	h.background.Wait()
	if len(h.faults) == 0 && !isKnown {
		h.pass(day)
		h.check()
		h.checkLog()
		h.processes = append(h.processes, newProcess(h))
		for i := range h.accounts {
			h.recover(op{Verb: "recovery", Account: i})
		}
		h.check()
		h.processes[0].close()
	}
	for _, account := range h.accounts {
		h.store.restore(h.t, account, nil)
	}
	for _, id := range h.site.DeviceIDs() {
		must(h.t, h.site.Forget(id))
	}
}

// recover wants an OTP of an account that has a device, or had one: after it was enabled and unlocked, or after answers were read again, or after
// an enrollment that replaces the device. A device that is in step needs no more than the first.
func (h *harness) recover(o op) {
	before, found := h.record(h.accounts[o.Account])
	if o.Account != 0 && (!found || before.Device == nil) {
		return
	}
	h.enable(h.processes[0], o)
	h.unlock(h.processes[0], o)
	err := h.issuePatiently(o)
	if err == nil {
		h.expectRecovered(o)
		return
	}
	if before.Device != nil && h.inStep(before) && h.site.expected(before.Device.Identity.ID).Activated {
		h.fault("a device that is in step gives no OTP: %v; %+v", err, before)
	}
	h.reread(h.processes[0], o)
	for range 2 { // one of which may find out which of two states is the right one
		if err = h.issuePatiently(o); err == nil {
			h.expectRecovered(o)
			return
		}
		h.unlock(h.processes[0], o)
	}
	if err := h.enrollAs(h.processes[0], o, true, true); err != nil {
		h.fault("in the end the account cannot be enrolled: %v", err)
		return
	}
	if err := h.issuePatiently(o); err != nil {
		h.fault("in the end the account gives no OTP: %v, and after an enrollment %v", otp.CauseOf(err), err)
		return
	}
	h.expectRecovered(o)
}

// issuePatiently asks for an OTP with the right PIN, and waits as it is told.
func (h *harness) issuePatiently(o op) (err error) {
	const waits = 3 // for different reasons
	for range waits {
		err = h.issue(h.processes[0], o, true)
		wait, isWait := errors.AsType[*otp.RetryAfterError](err)
		if !isWait {
			return err
		}
		h.pass(wait.For)
	}
	return err
}

// expectRecovered wants that a device which has just given an OTP is in step, and in no doubt.
func (h *harness) expectRecovered(o op) {
	if r, found := h.record(h.accounts[o.Account]); !found || !h.inStep(r) || r.Doubt != nil || len(r.Unread) > 0 {
		h.fault("after an OTP in the end the record is %+v", r)
	}
}

// checkLog holds the audit log against itself and inWebo: unless a row was replaced, the ratchet moves one by one, and every
// finalize has an attempt, of which one may make three: one is repeated that inWebo found too slow.
func (h *harness) checkLog() {
	lines, err := h.store.AuditAfter(h.t.Context(), h.logged, 1<<20)
	must(h.t, err)
	steps, attempts := map[otp.Account]uint64{}, 0
	for _, line := range lines {
		h.logged = max(h.logged, line.ID)
		if !slices.Contains(h.accounts[:], line.Account) || line.Action == "smscode" { // which looks at no record
			continue
		}
		if line.Stage == otp.StageAttempt {
			attempts++
		}
		before := steps[line.Account]
		if line.Outcome == string(errcodes.ReasonStateNotStored) && line.Step < before {
			continue // added to an outcome that was stored late, when another conversation had moved the device on
		}
		if line.Step != before && line.Step != before+1 && !h.wasSilent {
			h.fault("the step goes from %d to %d", before, line.Step)
		}
		steps[line.Account] = line.Step
	}
	if h.finalizes > 3*attempts {
		h.fault("%d attempts are in the audit log, and %d finalizes at inWebo", attempts, h.finalizes)
	}
}
