package otp_test

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/storetest"
)

// station is a point of a conversation at which a process can be stopped.
type station string

const (
	nowhere    station = ""
	atHold     station = "before the hold is stored"
	atSetup    station = "before a setup is sent"
	atFinalize station = "before a finalize is sent"
	atAnswer   station = "before an answer arrives"
	atSettle   station = "before an outcome is stored"
	atSettled  station = "after an outcome was stored"
)

var stations = []station{atHold, atSetup, atFinalize, atAnswer, atSettle, atSettled}

var errDead = errors.New("the process is dead")

// replica is one process: a service whose every way out can be stopped, for a while or for ever.
type replica struct {
	w       *world
	service *otp.Service

	mu      sync.Mutex
	mishaps map[inwebo.Exchange][]mishap // of the next exchanges
	writes  []storetest.Fault            // of the next writes
	stopAt  station
	forEver bool
	dead    bool
	stopped chan struct{} // closed when it is stopped for a while
	woken   chan struct{}
	held    int    // the moment of its last hold
	told    *event // what it has been told by inWebo and not yet stored
}

func newReplica(w *world) *replica {
	r := &replica{w: w}
	client := newBridge(w.d.sim)
	client.meddle, client.after = r.meddle, r.after
	r.service = otp.New(r, client, limits(), nil)
	r.plan(op{})
	return r
}

// plan sets what happens to the next conversation.
func (r *replica) plan(o op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mishaps = map[inwebo.Exchange][]mishap{inwebo.ExchangeOTPSetup: o.Setups, inwebo.ExchangeOTPFinalize: o.Finalizes}
	r.writes, r.stopAt, r.forEver = o.Writes, o.Stop, o.Do == crash
	r.stopped, r.woken = make(chan struct{}), make(chan struct{})
}

// reach stops the process when it is to stop here, and says whether it is dead.
func (r *replica) reach(here station) (isDead bool) {
	r.mu.Lock()
	stops := here == r.stopAt && here != nowhere && !r.dead
	if stops {
		r.stopAt, r.dead = nowhere, r.forEver
	}
	isDead, stopped, woken := r.dead, r.stopped, r.woken
	r.mu.Unlock()
	if stops && !isDead {
		close(stopped)
		<-woken
	}
	return isDead
}

// wakeUp ends a stop.
func (r *replica) wakeUp() { close(r.woken) }

func (r *replica) meddle(exchange inwebo.Exchange) mishap {
	here := atSetup
	if exchange == inwebo.ExchangeOTPFinalize {
		here = atFinalize
	}
	if r.reach(here) {
		return neverSent
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	queue := r.mishaps[exchange]
	if len(queue) == 0 {
		return fine
	}
	r.mishaps[exchange] = queue[1:]
	r.w.expect(exchange, queue[0])
	return queue[0]
}

func (r *replica) after(exchange inwebo.Exchange, happens mishap) mishap {
	if exchange != inwebo.ExchangeOTPFinalize {
		return happens
	}
	answer := r.w.finalized(r.lastHold())
	if r.reach(atAnswer) {
		return answerLost
	}
	if happens == fine {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = answer
	}
	return happens
}

// Fetch is as otp.Store says, while the process lives.
func (r *replica) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	if r.reach(nowhere) {
		return otp.Row{}, time.Time{}, errDead
	}
	return r.w.clock.Fetch(ctx, account)
}

// Note is not called by its callers, nor are FetchWithResponse, BySerial and Spend.
func (r *replica) Note(ctx context.Context, lines []otp.Line) error {
	return r.w.d.memory.Note(ctx, lines)
}

func (r *replica) FetchWithResponse(ctx context.Context, account otp.Account, key string) (otp.Row, *otp.Kept, time.Time, error) {
	return r.w.d.memory.FetchWithResponse(ctx, account, key)
}

func (r *replica) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	return r.w.d.memory.BySerial(ctx, serial)
}

func (r *replica) Spend(ctx context.Context, account otp.Account, key string) error {
	return r.w.d.memory.Spend(ctx, account, key)
}

// Create is never called: the device is there.
func (r *replica) Create(context.Context, otp.Write) error { return otp.ErrExists }

// Replace is as otp.Store says, while the process lives and the disk is well.
func (r *replica) Replace(ctx context.Context, w otp.Write) error {
	before, after := atSettle, atSettled
	if w.Line.Stage == otp.StageAttempt {
		before, after = atHold, nowhere
	}
	if r.reach(before) {
		return errDead
	}
	fault := r.nextFault()
	if fault.Err != nil && !fault.Applied {
		return fault.Err
	}
	err := r.w.clock.Replace(ctx, w)
	if err == nil && w.Line.Stage == otp.StageOutcome {
		r.stored()
	}
	if err == nil && w.Line.Stage == otp.StageAttempt {
		r.holds(r.w.moment())
	}
	if r.reach(after) {
		return errDead
	}
	return cmp.Or(err, fault.Err)
}

func (r *replica) nextFault() (next storetest.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.writes) > 0 {
		next, r.writes = r.writes[0], r.writes[1:]
	}
	return next
}

func (r *replica) holds(moment int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = moment
}

func (r *replica) lastHold() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

func (r *replica) stored() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told != nil {
		r.w.settled(r.told)
		r.told = nil
	}
}
