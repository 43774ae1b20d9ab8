package otp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/storetest"
)

// What happens in a world.
const (
	ask     = "ask"     // one caller
	crowd   = "crowd"   // several at once, anywhere
	crash   = "crash"   // one caller, and the process dies on the way
	sleep   = "sleep"   // one caller, and the process sleeps on the way
	wake    = "wake"    // all that sleep
	restart = "restart" // an orderly one
	unlock  = "unlock"  // here and at inWebo, by somebody who has made sure of the PIN
	pass    = "pass"    // time
	leap    = "leap"    // of the store's clock
)

// op is one thing that happens.
type op struct {
	Do                string
	Replica           int
	Right             bool // the PIN
	Setups, Finalizes []mishap
	Writes            []storetest.Fault
	Stop              station
	Obey              bool   // when told to wait
	Crowd             []bool // right PINs
	Time              time.Duration
}

func (o op) hasWrongPIN() bool { return !o.Right || slices.Contains(o.Crowd, false) }

var diskFaults = []storetest.Fault{{}, {Err: errStoreFault}, {Err: errStoreFault, Applied: true}, {Err: otp.ErrUntouched}}

func drawOp(t *rapid.T) op {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	mishaps := rapid.SliceOfN(rapid.SampledFrom([]mishap{fine, neverSent, requestLost, answerLost, nonsense}), 0, 2)
	o := op{
		Do:      one("do", ask, ask, ask, ask, ask, crowd, crash, sleep, sleep, wake, restart, unlock, pass, pass, leap),
		Replica: rapid.IntRange(0, processes-1).Draw(t, "replica"),
		Right:   rapid.IntRange(0, 3).Draw(t, "right") > 0,
	}
	switch o.Do {
	case ask:
		o.Obey = rapid.Bool().Draw(t, "obey")
		o.Setups, o.Finalizes = mishaps.Draw(t, "setups"), mishaps.Draw(t, "finalizes")
		if rapid.IntRange(0, 2).Draw(t, "sick disk") == 0 {
			o.Writes = rapid.SliceOfN(rapid.SampledFrom(diskFaults), 1, 4).Draw(t, "writes")
		}
	case crowd:
		o.Crowd = rapid.SliceOfN(rapid.Bool(), 2, 5).Draw(t, "crowd")
	case crash, sleep:
		o.Stop = rapid.SampledFrom(stations).Draw(t, "at")
	case pass:
		o.Time = rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Second, 20 * time.Second, 5 * time.Minute, 16 * time.Minute, 5 * time.Hour, 25 * time.Hour}).Draw(t, "time")
	case leap:
		o.Time = rapid.SampledFrom([]time.Duration{-10 * time.Minute, -time.Second, time.Second, time.Hour}).Draw(t, "time")
	}
	return o
}

// Whatever happens, no OTP is given that does not verify, no step is lost without a doubt, inWebo never counts a wrong
// PIN too many, and in the end the right PIN gives an OTP, or the device is in doubt and says so.
func TestAnyHistory(t *testing.T) {
	t.Parallel()
	for mode, sim := range simulators(t) {
		for _, checksPIN := range []bool{true, false} {
			sim := sim
			if !checksPIN {
				sim = started(t, func(k *inwebosim.Knobs) { k.LostFinalize, k.CheckPIN = mode, false })
			}
			knobs := sim.Knobs()
			knobs.OTPLife = inwebosim.Duration(24 * 365 * time.Hour) // a sleeper may be late
			must(t, sim.SetKnobs(knobs))
			t.Run(fmt.Sprintf("%s/PIN checked %v", mode, checksPIN), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) {
					own := inwebosim.Override{
						Ratchet: rapid.SampledFrom(movements).Draw(rt, "movement"),
						SecondRound: rapid.SampledFrom([]inwebosim.SecondRound{
							inwebosim.SecondRoundNever, inwebosim.SecondRoundEveryOther, inwebosim.SecondRoundAlways,
						}).Draw(rt, "second round"),
					}
					history := rapid.SliceOfN(rapid.Custom(drawOp), 1, 25).Draw(rt, "history")
					for _, fault := range live(t, sim, own, history) {
						rt.Error(fault)
					}
				})
			})
		}
	}
}

// However inWebo flaps, right PINs alone never lock an account: not while its keys stay, and not when they move and inWebo
// forbids the old ones, as it has been seen to. Where it counts old keys as wrong PINs, two answers lost in a row must
// lock: see TestRightPINsOfADeviceThatFellBehind.
func TestRightPINsNeverLock(t *testing.T) {
	t.Parallel()
	for mode, moves := range map[inwebosim.LostFinalize][]inwebosim.Ratchet{
		inwebosim.LostFinalizeStrict:    {inwebosim.RatchetNone},
		inwebosim.LostFinalizeForbidden: movements,
	} {
		sim := started(t, func(k *inwebosim.Knobs) {
			k.LostFinalize, k.OTPLife = mode, inwebosim.Duration(24*365*time.Hour)
		})
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				own := inwebosim.Override{Ratchet: rapid.SampledFrom(moves).Draw(rt, "movement")}
				history := rapid.SliceOfN(rapid.Custom(drawOp), 1, 25).Draw(rt, "history")
				for i := range history {
					history[i].Right = true
					for j := range history[i].Crowd {
						history[i].Crowd[j] = true
					}
				}
				for _, fault := range live(t, sim, own, history) {
					rt.Error(fault)
				}
			})
		})
	}
}

// live lets a history happen in a world of its own, and gives its faults.
func live(t *testing.T, sim *inwebosim.Simulator, own inwebosim.Override, history []op) (faults []string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sim, own)
		countsOldKeys := own.Ratchet != inwebosim.RatchetNone && sim.Knobs().LostFinalize != inwebosim.LostFinalizeForbidden
		w.neverWrong = !countsOldKeys && !slices.ContainsFunc(history, op.hasWrongPIN)
		for i, o := range history {
			w.happen(o)
			w.check()
			if len(w.faults) > 0 {
				w.fault("that was after op %d, %+v", i, o)
				break
			}
		}
		w.end()
		faults = w.faults
	})
	return faults
}

func (w *world) happen(o op) {
	r := w.replicas[o.Replica]
	if _, sleeps := w.asleep[r]; sleeps && o.Do != wake && o.Do != pass {
		return // a process that sleeps does nothing else
	}
	pin := wrongPIN
	if o.Right {
		pin = rightPIN
	}
	if _, sleeps := w.asleep[r]; !sleeps {
		r.plan(o)
	}
	switch o.Do {
	case ask:
		err := w.issueAlone(r, pin)
		if len(o.Writes) > 0 {
			time.Sleep(time.Second) // for what is stored behind the caller's back
		}
		r.plan(op{})
		if o.Obey && len(w.asleep) == 0 {
			w.obey(r, err)
		}
	case crowd:
		w.crowd(o.Crowd)
	case crash:
		_ = w.issue(r, pin)
		w.replace(r)
	case sleep:
		w.sleep(r, pin)
	case wake:
		w.wakeAll()
	case restart:
		w.drain(r)
		w.replicas[o.Replica] = newReplica(w)
	case unlock:
		if len(w.asleep) == 0 { // what a sleeper may yet send is forgotten with the rest
			w.unlock(r)
		}
	case pass:
		time.Sleep(o.Time)
	case leap:
		if len(w.asleep) == 0 { // a leap past D while somebody talks is another test's
			w.clock.advance(o.Time)
			w.leapBack(o.Time < 0)
		}
	}
}

// crowd lets several callers ask at once, in turn at the processes that are awake.
func (w *world) crowd(right []bool) {
	var all sync.WaitGroup
	for i, isRight := range right {
		r := w.replicas[i%processes]
		if _, sleeps := w.asleep[r]; sleeps {
			continue
		}
		pin := wrongPIN
		if isRight {
			pin = rightPIN
		}
		all.Go(func() { _ = w.issue(r, pin) })
	}
	all.Wait()
}

// replace puts a new process in the place of a dead one.
func (w *world) replace(r *replica) {
	if !r.reach(nowhere) { // it came to an end before it could die
		r.plan(op{})
		return
	}
	w.stops++
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	r.service.Drain(ctx)
	for i := range w.replicas {
		if w.replicas[i] == r {
			w.replicas[i] = newReplica(w)
		}
	}
}

// sleep lets a process stop in the middle of a conversation, if it comes so far.
func (w *world) sleep(r *replica, pin secret.Text) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_ = w.issue(r, pin)
	}()
	select {
	case <-answered:
		r.plan(op{})
	case <-r.stopped:
		w.stops++
		w.asleep[r] = answered
	}
}

func (w *world) wakeAll() {
	for r, answered := range w.asleep {
		r.wakeUp()
		<-answered
		time.Sleep(time.Second) // for what it settles behind its caller's back
		r.plan(op{})
	}
	clear(w.asleep)
}

func (w *world) drain(r *replica) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	if left := r.service.Drain(ctx); len(left) > 0 {
		w.fault("a drain gave up")
	}
}

// unlock lets guesses through again, unless somebody has the device.
func (w *world) unlock(r *replica) {
	switch err := r.service.Unlock(w.t.Context(), w.d.ask()); {
	case errors.Is(err, otp.ErrBusy): // by a process that died
	case err != nil:
		w.fault("unlock: %v", err)
	default:
		must(w.t, w.d.sim.Unblock(w.d.id))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wrongs = nil
	}
}

// end lets everything come to rest, and asks with the right PIN once more.
func (w *world) end() {
	w.wakeAll()
	for _, r := range w.replicas {
		w.drain(r)
	}
	time.Sleep(25 * time.Hour)
	w.check()
	w.checkSteps()
	r := newReplica(w)
	defer w.drain(r)
	w.unlock(r)
	wasInStep := w.d.inStep(w.t)
	err := w.issueAlone(r, rightPIN)
	switch record := w.d.record(w.t); {
	case err == nil && w.d.inStep(w.t) && record.Doubt == nil:
	case otp.CauseOf(err) == otp.ErrInDoubt && !wasInStep && record.Doubt != nil:
	default:
		w.fault("in the end: %v; in step before %v, now %v; doubt %+v", err, wasInStep, w.d.inStep(w.t), record.Doubt)
	}
}
