package historytest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// checkRecord holds what must be true of every record that is stored; r is empty where there is none.
func (h *harness) checkRecord(account otp.Account, r otp.Record) {
	h.mu.Lock()
	isForgotten, isDisabled, hasMoved := h.isForgotten[account], h.isDisabled[account], h.hasMoved[account]
	h.mu.Unlock()
	switch {
	case r.Device != nil && r.Serial == "":
		h.fault("the device has no serial: %+v", r)
	case r.Doubt != nil && r.Device == nil:
		h.fault("there is a doubt, and no device: %+v", r)
	case r.Device == nil && hasMoved:
		h.fault("an answer that inWebo has given was stored, and there is no device: %+v", r)
	case r.Device != nil && isForgotten:
		h.fault("a device that was forgotten is back: %+v", r)
	case !r.Disabled && isDisabled:
		h.fault("an account that was disabled is not: %+v", r)
	case r.LeasedAt(h.now()) && r.Lease.Until.Sub(h.now()) > otp.MaxLease:
		h.fault("a lease lasts longer than any can: %+v", r)
	case len(r.Unread) > mostUnread:
		h.fault("%d unread answers are kept: %+v", len(r.Unread), r)
	case h.isUntroubled() && (r.Lease != nil || len(r.Guard.Attempts) > 0):
		h.fault("nothing was lost, and a lease or an attempt is left: %+v", r)
	}
	h.checkTransfer(account)
}

// mostUnread is how many unread answers a record may have.
const mostUnread = 2

// isUntroubled reports whether every exchange was answered and every write was stored, and no row and no clock was changed.
func (h *harness) isUntroubled() bool {
	return !slices.ContainsFunc(h.Ops, func(o op) bool {
		isLoss := func(t trouble) bool { return t.Fault != "refusal" } // which inWebo answers instead of counting a PIN
		return slices.ContainsFunc(o.Troubles, isLoss) || slices.Contains([]string{"restore row", "delete row", "clock jumps"}, o.Verb)
	})
}

// checkTransfer wants that a device which is in doubt, be it by the epoch of its store, is so in a store that it is moved to.
func (h *harness) checkTransfer(account otp.Account) {
	const otherEpoch = 7
	row, _, err := seal.New(h.store, h.keyring).Fetch(h.t.Context(), account)
	if err != nil {
		return // which h.record has said
	}
	row.Disabled = true
	for range 2 {
		row.StoreEpoch.Number++ // of the second time, at the latest, the device is in doubt
		before, err := otp.Decode(row)
		moved, errMoved := otp.Transferred(row, h.now(), otherEpoch)
		if err != nil || errMoved != nil {
			return
		}
		moved.StoreEpoch = otp.Epoch{Number: otherEpoch}
		if after, err := otp.Decode(moved); err != nil || after.InDoubt(h.now()) != before.InDoubt(h.now()) {
			h.fault("a transfer changes a doubt (%v): %+v", err, before)
		}
	}
}

// removed notes that an operator has forgotten the account's device, unless a conversation that makes one may be under way.
func (h *harness) removed(p *process, o op, err error) {
	h.note(h.hasMoved, o, false)
	if err == nil {
		h.isNotRemoved(o) // there was one to forget, and an answer that comes later brings none back
	}
	if err == nil && !h.anyEnrolls() && !p.slept() {
		h.note(h.isForgotten, o, true)
	}
}

// hasOther notes that the account may get another device than it has, or had before its row was deleted.
func (h *harness) hasOther(o op) {
	h.note(h.isForgotten, o, false)
	h.note(h.hasMoved, o, false)
	h.isNotRemoved(o)
}

// isNotRemoved notes that what the processes that sleep know of the account is stored in another row than the one that was deleted.
func (h *harness) isNotRemoved(o op) {
	h.mu.Lock()
	asleep := maps.Clone(h.asleep)
	h.mu.Unlock()
	for p := range asleep {
		p.remove(h.accounts[o.Account], false)
	}
}

// isWithAnother reports whether the other account has the device with the account's serial, or an enrollment of it under way.
func (h *harness) isWithAnother(account otp.Account) bool {
	first, _ := h.record(h.accounts[0])
	second, _ := h.record(h.accounts[1])
	other := first
	if account == h.accounts[0] {
		other = second
	}
	return first.Serial == second.Serial && (other.Device != nil || other.Enrollment != nil)
}

// anyEnrolls reports whether a process that sleeps may make a device for the account. One whose lease is in the record may not: what is
// done after the end of that lease comes later.
func (h *harness) anyEnrolls() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	mayLease := func(p *process) bool { return !p.hasLeased || h.wasSilent }
	return slices.ContainsFunc(slices.Collect(maps.Keys(h.asleep)), mayLease) && slices.ContainsFunc(h.Ops, func(o op) bool { return o.Verb == "enroll" || o.Verb == "import" })
}

// anyOther reports whether a process that sleeps may put another device in place of that of the account of the op.
func (h *harness) anyOther(o op) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range h.asleep {
		if is := p.op.atItsAccount(); is.Account == o.Account && (is.Verb == "enroll" || is.Verb == "import") {
			return true
		}
	}
	return false
}

// anyEnables reports whether a process that sleeps may enable the account of the op.
func (h *harness) anyEnables(o op) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range h.asleep {
		if p.op.Verb == "enable" && p.op.Account == o.Account {
			return true
		}
	}
	return false
}

func (h *harness) note(what map[otp.Account]bool, o op, is bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what[h.accounts[o.Account]] = is
}

// leaseMargin is by how much a lease outlasts the deadline of its conversation.
const leaseMargin = 2 * time.Second

// judgeWait wants that no caller waits for longer than what it waits for can last, whatever the clock did. A process that
// slept may have decided before it did.
func (h *harness) judgeWait(p *process, o op, err error) {
	wait, isWait := errors.AsType[*otp.RetryAfterError](err)
	if !isWait {
		return
	}
	quota := otp.ClockProbation
	if r, _ := h.record(h.accounts[o.Account]); len(r.Quota.Issues) > 0 {
		latest := slices.MaxFunc(r.Quota.Issues, func(a, b otp.Issue) int { return a.At.Compare(b.At) })
		quota = max(quota, 24*time.Hour-h.now().Sub(latest.At))
	}
	quota += limits().Deadline + leaseMargin // an OTP that was under way had the latest time at which inWebo might count it
	longest := map[error]time.Duration{
		otp.ErrPINHeldBack: max(limits().Guard.Unanswered, otp.ClockProbation), otp.ErrBusy: otp.MaxLease, otp.ErrQuota: quota,
	}
	if bound := longest[otp.CauseOf(err)]; bound > 0 && wait.For > bound+p.sleptFor()+time.Second {
		h.fault("a wait of %v for %v", wait.For, wait.Cause)
	}
}

// judgeReason wants that no caller orders an SMS code for a device that inWebo may yet accept.
func (h *harness) judgeReason(err error) {
	if otp.ReasonOf(err) == errcodes.ReasonDeviceLost && !errors.Is(err, otp.ErrState) && !errors.Is(err, otp.ErrForbidden) {
		h.fault("the device is told to be lost: %v", err)
	}
}

// expectStamps wants that a call which was refused leaves nothing behind that lies in the future.
func (h *harness) expectStamps(o op) {
	r, _ := h.record(h.accounts[o.Account])
	isAhead := r.Guard.WrongAt.After(h.now())
	for _, attempt := range r.Guard.Attempts {
		isAhead = isAhead || attempt.At.After(h.now())
	}
	if isAhead {
		h.fault("a call was refused, and left stamps of the future: %+v", r)
	}
}

// expectReread wants that an answer which was read again moves on only the step that it belongs to, and that the state before it is kept.
func (h *harness) expectReread(o op, before otp.Record, done otp.Reread) {
	if done.Applied == 0 {
		return
	}
	step := before.Step
	if before.Device != nil && before.Device.Fallback != nil {
		step = before.Device.Fallback.Step
	}
	if !slices.ContainsFunc(before.Unread, func(answer otp.UnreadAnswer) bool { return answer.Step == step }) {
		h.fault("an answer to an earlier step was applied: %+v", before)
	}
	if r, _ := h.record(h.accounts[o.Account]); r.Device == nil || r.Device.Fallback == nil {
		h.fault("an answer was read again, and the state before it is not kept: %+v", r)
	}
}

// expectUnread wants that an answer which the process could not read is kept.
func (h *harness) expectUnread(p *process, o op) {
	p.mu.Lock()
	couldNot := p.couldNotRead && !p.isDead && !p.isAsleep
	p.mu.Unlock()
	if r, _ := h.record(h.accounts[o.atItsAccount().Account]); couldNot && len(o.Troubles) == 1 && o.Verb != "crowd" && len(r.Unread) == 0 {
		h.fault("an answer that could not be read is not kept: %+v", r)
	}
}
