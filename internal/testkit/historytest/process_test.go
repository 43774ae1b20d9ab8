package historytest

import (
	"context"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// process is a service with its own locks and its own keyring of keys, of which every way out can fail, and be stopped, for a
// while or forever. It is the otp.Store and the otp.Inwebo of its service.
type process struct {
	h       *harness
	service *otp.Service
	client  *inwebo.Client
	keyring *seal.Keyring
	ended   chan struct{} // closed when nothing of a dead process goes on

	mu       sync.Mutex
	op       op        // under way, or the last one
	begun    time.Time // when that began, by the time of the processes
	troubles []trouble // of the verb under way
	counted  map[faultSite]int
	isDead   bool
	// couldNotRead: an answer to a finalize was for a newer process than this one.
	couldNotRead bool
	hasSlept     bool                   // during this verb
	isAsleep     bool                   // until woken is closed
	isLost       bool                   // a row was replaced while it slept: what it knows of guesses is lost
	meetsLost    bool                   // when it fell asleep, one slept that was lost: they wake together
	replaced     map[otp.Account]bool   // while it slept, by a row that knows of no conversation
	removed      map[otp.Account]bool   // while it slept: the row, and the account was given no other device since
	stopped      chan struct{}          // closed when it falls asleep
	woken        chan struct{}          // to be closed to wake it
	leased       int                    // the moment of its last lease
	hasLeased    bool                   // during this verb
	isCrowded    bool                   // during this verb, other processes may ask for a lease at the same time
	answers      map[otp.Account]*event // what inWebo has told it and it has not stored
}

func newProcess(h *harness) *process {
	keyring, err := seal.OpenFile(h.keyFile, false)
	must(h.t, err)
	p := &process{h: h, client: h.site.client(), keyring: keyring, answers: map[otp.Account]*event{}, ended: make(chan struct{})}
	settings := limits()
	settings.Now = h.processNow
	p.service = otp.New(seal.New(p, keyring), p, settings, nil)
	p.plan(op{})
	return p
}

// limits are those of a real service.
func limits() otp.Limits {
	return otp.Limits{
		Deadline: 15 * time.Second, FinalizeTimeout: 5 * time.Second, QueueWait: 10 * time.Second, StoreTimeout: 5 * time.Second,
		Guard:      otp.GuardLimits{Attempts: 2, Pause: 5 * time.Second, Unanswered: 15 * time.Minute},
		OTPsPerDay: 6, SetupRepeats: 100, CircuitFaults: 3, CircuitTimeout: 5 * time.Second, ResponseLifetime: 10 * time.Minute,
	}
}

// plan sets what goes wrong during the next verb, and returns the channel that is closed when the process falls asleep in it. The
// process must not be asleep.
func (p *process) plan(o op) (stopped chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.troubles, p.counted, p.hasSlept, p.isLost, p.couldNotRead, p.hasLeased = o.Troubles, map[faultSite]int{}, false, false, false, false
	p.op, p.begun, p.isCrowded, p.meetsLost = o, p.h.processNow(), o.Crowd != nil, false
	p.replaced, p.removed = map[otp.Account]bool{}, map[otp.Account]bool{}
	p.stopped, p.woken = make(chan struct{}), make(chan struct{})
	return p.stopped
}

// calm lets nothing more go wrong during the verb. It reports false when the process has fallen asleep before.
func (p *process) calm() (isAwake bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isAsleep {
		p.troubles = nil
	}
	return !p.isAsleep
}

// next counts one of the place, and returns what befalls it.
func (p *process) next(at faultSite) (fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count(at)
}

// count is next for a caller that has the lock.
func (p *process) count(at faultSite) (fault, bool) {
	p.counted[at]++
	f, happens := find(p.troubles, at, p.counted[at])
	if happens {
		p.h.troubles.Add(1)
		p.h.explain(1)
	}
	return f, happens
}

// step is between two things that the process does, at which it may die or sleep. It reports whether it is dead.
func (p *process) step() (isDead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stayAsleep() // all of a process sleeps at once
	f, happens := p.count(steps)
	switch {
	case p.isDead || !happens:
	case f.name == crash:
		p.isDead = true
		p.h.explain(1)
		go p.bury()
	case f.name == sleep && !p.hasSlept:
		p.hasSlept, p.isAsleep = true, true
		p.h.explain(1)
		close(p.stopped)
		p.stayAsleep()
	}
	return p.isDead
}

// stayAsleep waits until the process is awake. The caller must hold p.mu.
func (p *process) stayAsleep() {
	for p.isAsleep {
		woken := p.woken
		p.mu.Unlock()
		<-woken
		p.mu.Lock()
	}
}

// bury ends what the service of a dead process still tries.
func (p *process) bury() {
	defer close(p.ended)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.service.Drain(ctx)
}

func (p *process) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isDead
}

func (p *process) slept() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hasSlept
}

// sleptFor returns how long the verb under way has taken, if the process slept in it, and otherwise zero.
func (p *process) sleptFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.hasSlept {
		return 0
	}
	return p.h.processNow().Sub(p.begun)
}

// lost reports whether a row was replaced while the process slept in the verb under way.
func (p *process) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isLost
}

// isOvertaken reports whether another conversation may have moved the device in spite of the lease of the process: a row was replaced while
// one of the two slept, so it knows of one of them alone.
func (p *process) isOvertaken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isLost || p.meetsLost
}

// crowd notes that the process wakes together with another one.
func (p *process) crowd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCrowded = true
}

// meetLost notes that the process wakes together with one that is lost.
func (p *process) meetLost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meetsLost = true
}

// close ends a process in order, or waits for the end of a dead one.
func (p *process) close() {
	defer p.client.Close()
	if p.dead() {
		<-p.ended
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if left := p.service.Drain(ctx); len(left) > 0 {
		p.h.fault("a drain gave up %v", left)
	}
}

// wakeUp ends a sleep.
func (p *process) wakeUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.woken)
	p.isAsleep = false
}

// replace notes that the account's row was replaced while the process sleeps, and whether the other row knows of no conversation.
func (p *process) replace(account otp.Account, knowsOfNone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replaced[account] = knowsOfNone
}

// remove notes whether the account's row is deleted while the process sleeps.
func (p *process) remove(account otp.Account, isDeleted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removed[account] = isDeleted
}

// lose notes that a row was replaced while the process sleeps.
func (p *process) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isLost = true
}
