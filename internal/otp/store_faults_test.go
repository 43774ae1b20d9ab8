package otp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

var errStoreFault = errors.New("the disk made a noise")

// storeFault is what goes wrong with one call of the store.
type storeFault struct {
	name string
	late bool // the store tells the result of a lease before the conversation goes on
	// known: the caller knows that nothing was stored.
	known bool
	// hangs: it takes longer than the time that a call has.
	hangs bool
	call  func(storetest.Call, otp.Store) storetest.Fault
}

func storeFaults() []storeFault {
	simply := func(f storetest.Fault) func(storetest.Call, otp.Store) storetest.Fault {
		return func(storetest.Call, otp.Store) storetest.Fault { return f }
	}
	return []storeFault{
		{name: "not applied", call: simply(storetest.Fault{Err: errStoreFault})},
		{name: "applied", call: simply(storetest.Fault{Err: errStoreFault, Applied: true})},
		{name: "untouched", known: true, call: simply(storetest.Fault{Err: fmt.Errorf("%w: no room", otp.ErrNotApplied)})},
		{name: "broken", known: true, call: simply(storetest.Fault{Err: fmt.Errorf("%w: sync failed", otp.ErrBroken)})},
		{name: "hangs, then applied", hangs: true, call: func(call storetest.Call, beneath otp.Store) storetest.Fault {
			time.Sleep(limits().StoreTimeout)
			applyLate(call, beneath)
			return storetest.Fault{Err: context.DeadlineExceeded}
		}},
		{name: "hangs, applied after its repeat", hangs: true, call: func(call storetest.Call, beneath otp.Store) storetest.Fault {
			time.Sleep(limits().StoreTimeout)
			time.AfterFunc(10*time.Second, func() { applyLate(call, beneath) })
			return storetest.Fault{Err: context.DeadlineExceeded}
		}},
	}
}

// applyLate does what a store does that got a write and then was silent; its report is lost.
func applyLate(call storetest.Call, beneath otp.Store) {
	switch call.Verb {
	case storetest.Create:
		_ = beneath.Create(context.Background(), call.Write)
	case storetest.Replace:
		_ = beneath.Replace(context.Background(), call.Write)
	case storetest.Fetch, storetest.Update, storetest.BySerial, storetest.List, storetest.AppendAudit, storetest.DiscardResponse: // no write of a conversation
	}
}

// call is a call of the store in the course of a conversation.
type call struct {
	name string
	nth  int64
}

var (
	fetch   = call{"fetch", 1}
	hold    = call{"hold", 2}
	settle1 = call{"settle of the first round", 3}
	settle2 = call{"settle of the second round", 4}
)

// breaking is the device's store, with the fault in that call.
func (f storeFault) breaking(d *device, at call) *storetest.Breaking {
	return &storetest.Breaking{Store: d.memory, Late: f.late, Decide: func(c storetest.Call) storetest.Fault {
		if c.N != at.nth {
			return storetest.Fault{}
		}
		return f.call(c, d.memory)
	}}
}

// Every call of the store × whatever can go wrong with it, in conversations of one round and of two.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, f := range storeFaults() {
		for _, at := range []call{fetch, hold, settle1, settle2} {
			for _, rounds := range []int{1, 2} {
				if at == settle2 && rounds == 1 {
					continue
				}
				for _, late := range []bool{false, true} {
					f := f
					f.late = late
					f.run(t, fmt.Sprintf("%s/%s/%d rounds/late %v", at.name, f.name, rounds, late), sim, func(t *testing.T, client otp.Inwebo) {
						d := plant(t, sim, inwebosim.Override{SecondRound: secondRound(rounds)})
						f.test(t, d, client, at, rounds)
					})
				}
			}
		}
	}
}

// run makes a subtest: over sockets, or in a bubble whose clock does not wait when the fault takes long.
func (f storeFault) run(t *testing.T, name string, sim *inwebosim.Simulator, test func(*testing.T, otp.Inwebo)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		if f.hangs {
			synctest.Test(t, func(t *testing.T) { test(t, newBridge(sim)) })
		} else {
			test(t, wire(t, sim.ProtocolURL(), time.Minute))
		}
	})
}

func (f storeFault) test(t *testing.T, d *device, client otp.Inwebo, at call, rounds int) {
	before := d.row(t)
	service := otp.New(f.breaking(d, at), client, limits(), nil)
	issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	drained(t, service)
	switch {
	case at == settle1 || at == settle2:
		mustVerify(t, d, issued, err)
		if issued.Rounds != rounds {
			t.Errorf("the OTP took %d rounds", issued.Rounds)
		}
		lines := []string{"attempt", "outcome: done", "outcome: done"}
		mustHaveLines(t, d, lines[:rounds+1]...)
		d.mustRemain(t, remains{steps: uint64(rounds), units: 1, finalizes: uint32(rounds)}, false)
	case at == fetch || f.known:
		if row := d.row(t); row.Revision != before.Revision || !bytes.Equal(row.Body, before.Body) {
			t.Error("the record was changed")
		}
		mustHaveLines(t, d)
	default:
		mustHaveLines(t, d, "attempt", "outcome: "+string(otp.ReasonOf(otp.ErrStore)))
		d.mustRemain(t, remains{}, false)
	}
	if at == fetch || at == hold {
		if otp.CauseOf(err) != otp.ErrStore {
			t.Errorf("the caller is told %v", err)
		}
		if truth := d.truth(t); truth.Finalizes != 0 || (f.late || at == fetch) && truth.Requests != 0 {
			t.Errorf("inWebo was asked though the store had failed: %+v", truth)
		}
	}
	if f.hangs {
		time.Sleep(time.Minute) // for what is still on its way
	}
	d.mustGoOn(t, client, false)
}

// A store that fails while an outcome is settled changes nothing of the outcome.
func TestStoreFaultsWhileSettling(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, f := range storeFaults() {
		for name, row := range map[string]struct {
			happens   mishap
			pin       bool // the right one
			callerErr error
			remain    remains
		}{
			"answer lost": {answerLost, true, otp.ErrUnreachable, remains{0, true, 1, 1, 1}},
			"nonsense":    {nonsense, true, otp.ErrNotUnderstood, remains{0, true, 1, 1, 1}},
			"never sent":  {neverSent, true, otp.ErrUnreachable, remains{}},
			"wrong PIN":   {fine, false, otp.ErrPINRefused, remains{finalizes: 1}},
		} {
			t.Run(name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := plant(t, sim, inwebosim.Override{})
					client, pin := newBridge(sim), rightPIN
					client.meddle = onFinalize(row.happens)
					if !row.pin {
						pin = wrongPIN
					}
					service := otp.New(f.breaking(d, settle1), client, limits(), nil)
					_, err := service.IssueOTP(t.Context(), d.request(), pin)
					drained(t, service)
					if otp.CauseOf(err) != row.callerErr {
						t.Errorf("the caller is told %v, want %v", err, row.callerErr)
					}
					mustHaveLines(t, d, "attempt", "outcome: "+string(otp.ReasonOf(row.callerErr)))
					d.mustRemain(t, row.remain, !row.pin)
					d.mustGoOn(t, newBridge(sim), row.remain.doubt)
				})
			})
		}
	}
}
