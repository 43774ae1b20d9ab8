package historytest

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// gate makes one call of the store for a process.
func gate[T any](p *process, at faultSite, call func() (T, error), apply func()) (result T, err error) {
	if p.step() {
		return result, errDead
	}
	f, happens := p.next(at)
	switch {
	case happens && f.name == appliedOn:
		p.h.background.Go(func() {
			time.Sleep(applyDelay)
			apply()
		})
		return result, errStoreFault
	case happens && f.name == fullDisk:
		p.h.store.fill(p.h.t)
	case happens && !f.store.Applied:
		return result, f.store.Err
	}
	result, err = call()
	if p.step() {
		return result, errDead
	}
	if err == nil && happens {
		err = f.store.Err
	}
	return result, err
}

// applyDelay is how long a write can be on its way to the store after its caller has given up.
const applyDelay = 3 * time.Second

// put is gate for a write of a record.
func (p *process) put(ctx context.Context, w otp.Write, verb func(context.Context, otp.Write) error) error {
	stored := func(ctx context.Context) error {
		err := verb(ctx, w)
		if err == nil {
			p.written(w)
		}
		return err
	}
	_, err := gate(p, writes, func() (struct{}, error) { return struct{}{}, stored(ctx) }, func() { _ = stored(context.Background()) })
	return err
}

// written notes a lease, and an outcome with which an answer of inWebo became durable.
func (p *process) written(w otp.Write) {
	// The device stays with an account that has it by now.
	if p.noted(w, p.h.moment()) && !p.h.isWithAnother(w.Row.Account) {
		p.h.moved(w.Row.Account)
	}
}

// noted is written, but for what follows from the deletion of a row. It reports whether an accepted answer was stored whose row had been
// deleted.
func (p *process) noted(w otp.Write, moment int) (wasRemoved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.AuditEntry.Stage == otp.StageAttempt {
		p.leased, p.hasLeased = moment, true
		return false
	}
	e := p.answers[w.Row.Account]
	if e == nil {
		return false
	}
	delete(p.answers, w.Row.Account)
	p.h.settled(e, moment)
	if e.isStep && p.replaced[w.Row.Account] {
		p.h.endSilence(w.Row.Account)
	}
	return e.isAccepted && p.removed[w.Row.Account]
}

// Fetch is as otp.Store says, with the time of the history's clock.
func (p *process) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, err := gate(p, reads, func() (otp.Row, error) {
		row, _, err := p.h.store.Fetch(ctx, account)
		return row, err
	}, func() {})
	return row, p.h.now(), err
}

// Update is as otp.Store says, with the time of the history's clock. Faults come before the snapshot and with the write. It does not return
// early from a write that has failed while other processes ask for a lease: in a store, the write fails after the early return, and no other
// process has a lease before that.
func (p *process) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	read := func(ctx context.Context) (otp.Snapshot, error) {
		return gate(p, reads, func() (otp.Snapshot, error) {
			found, err := storetest.Snapshot(ctx, p.h.store, account, key)
			found.Now = p.h.now()
			return found, err
		}, func() {})
	}
	d, err := otp.UpdateInSteps(ctx, read, p, decide)
	if p.h.Late || err != nil && p.isCrowded {
		return d, err
	}
	return storetest.ReturnEarly(d, err)
}

// BySerial is as otp.Store says.
func (p *process) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	return gate(p, reads, func() ([]otp.Row, error) { return p.h.store.BySerial(ctx, serial) }, func() {})
}

// List is as otp.Store says.
func (p *process) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	return gate(p, reads, func() ([]otp.Row, error) { return p.h.store.List(ctx, after, limit) }, func() {})
}

// Create is as otp.Store says.
func (p *process) Create(ctx context.Context, w otp.Write) error {
	return p.put(ctx, w, p.h.store.Create)
}

// Replace is as otp.Store says.
func (p *process) Replace(ctx context.Context, w otp.Write) error {
	return p.put(ctx, w, p.h.store.Replace)
}

// AppendAudit is as otp.Store says.
func (p *process) AppendAudit(ctx context.Context, lines []otp.AuditEntry) error {
	note := func(ctx context.Context) error { return p.h.store.AppendAudit(ctx, lines) }
	_, err := gate(p, writes, func() (struct{}, error) { return struct{}{}, note(ctx) }, func() { _ = note(context.Background()) })
	return err
}

// DiscardResponse is as otp.Store says.
func (p *process) DiscardResponse(ctx context.Context, account otp.Account, key string) error {
	spend := func(ctx context.Context) error { return p.h.store.DiscardResponse(ctx, account, key) }
	_, err := gate(p, writes, func() (struct{}, error) { return struct{}{}, spend(ctx) }, func() { _ = spend(context.Background()) })
	return err
}
