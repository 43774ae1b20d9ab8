package otp_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// valve is a store that can be shut: its writes then hang until their time is over, and nothing of them is stored.
type valve struct {
	otp.Store
	mu   sync.Mutex
	shut bool
}

func (v *valve) turn(shut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut = shut
}

func (v *valve) Replace(ctx context.Context, w otp.Write) error {
	v.mu.Lock()
	shut := v.shut
	v.mu.Unlock()
	if shut {
		<-ctx.Done()
		return ctx.Err()
	}
	return v.Store.Replace(ctx, w)
}

func (v *valve) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	return otp.UpdateInSteps(ctx, func(ctx context.Context) (otp.Snapshot, error) {
		return storetest.Snapshot(ctx, v.Store, account, key)
	}, v, decide)
}

// watcher is an observer that keeps count.
type watcher struct {
	mu        sync.Mutex
	retrying  int
	peak      int
	windows   []time.Duration
	committed map[otp.Commit]int
	panics    []string
}

func (w *watcher) Committed(what otp.Commit, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.committed == nil {
		w.committed = map[otp.Commit]int{}
	}
	if err == nil {
		w.committed[what]++
	}
}

func (w *watcher) CommitWindow(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.windows = append(w.windows, d)
}

func (w *watcher) Circuit(admission.State) {}

func (w *watcher) Panicked(task string, err error, _ []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.panics = append(w.panics, task+": "+err.Error())
}

func (w *watcher) Retrying(change int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retrying += change
	w.peak = max(w.peak, w.retrying)
}

// stuck is an OTP whose settle hangs: valve and bridge, and the service between.
func stuck(d *device) (*otp.Service, *valve, *watcher) {
	store, hears := &valve{Store: d.memory}, new(watcher)
	client := newBridge(d.sim)
	client.after = func(exchange inwebo.Exchange, happens mishap) mishap {
		store.turn(exchange == inwebo.ExchangeOTPFinalize)
		return happens
	}
	return otp.New(store, client, limits(), hears), store, hears
}

const notStored = "outcome: state_not_stored"

func TestASettleThatHangsPastTheDeadline(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, row := range []struct {
		name      string
		rounds    int
		pin       bool
		callerErr error
		remain    remains
		writes    int // of an outcome
		lines     []string
	}{ // where the first write may have said "done", a line without a write corrects it
		{"accepted", 1, true, otp.ErrNotStored, remains{1, false, 0, 1, 1}, 1, []string{"attempt", notStored, notStored}},
		{"accepted in the first of two rounds", 2, true, otp.ErrNotStored, remains{1, false, 0, 1, 1}, 2, []string{"attempt", notStored, notStored, notStored}},
		{"refused", 1, false, otp.ErrPINRefused, remains{finalizes: 1}, 1, []string{"attempt", "outcome: pin_refused"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{SecondRound: secondRound(row.rounds)})
				service, store, hears := stuck(d)
				pin := wrongPIN
				if row.pin {
					pin = rightPIN
				}
				start := time.Now()
				_, err := service.IssueOTP(t.Context(), d.request(), pin)
				if otp.CauseOf(err) != row.callerErr || time.Since(start) != limits().Deadline {
					t.Errorf("after %v the caller is told %v, want %v at the deadline", time.Since(start), err, row.callerErr)
				}
				d.mustWaitForStore(t, service)

				time.Sleep(time.Minute)
				store.turn(false)
				drained(t, service)
				d.mustRemain(t, row.remain, !row.pin)
				mustHaveLines(t, d, row.lines...)
				if hears.retrying != 0 || hears.peak != 1 || hears.committed[otp.CommitLease] != 1 || hears.committed[otp.CommitSettle] != row.writes {
					t.Errorf("the observer heard %+v", hears)
				}
				if uint64(len(hears.windows)) != row.remain.steps || len(hears.windows) > 0 && hears.windows[0] < time.Minute {
					t.Errorf("from answer to commit: %v", hears.windows)
				}
				d.mustGoOn(t, newBridge(sim), false)
			})
		})
	}
}

// hangingStore is a store whose reads hang until their time is over, once it is told to.
type hangingStore struct {
	otp.Store
	now bool
}

func (d *hangingStore) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	if d.now {
		<-ctx.Done()
		return otp.Row{}, time.Time{}, ctx.Err()
	}
	return d.Store.Fetch(ctx, account)
}

// A settle that meets a changed record just before the deadline, and cannot read it, keeps its caller no longer than one
// that cannot be written.
func TestASettleThatCannotReadAtTheDeadline(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d, client := plant(t, sim, inwebosim.Override{}), newBridge(sim)
		store := &hangingStore{Store: d.memory}
		breaking := &storetest.Breaking{Store: store, Decide: func(c storetest.Call) storetest.Fault {
			if c.N == settle1.nth {
				store.now = true
				return storetest.Fault{Err: otp.ErrConflict}
			}
			return storetest.Fault{}
		}}
		client.after = func(exchange inwebo.Exchange, happens mishap) mishap {
			if exchange == inwebo.ExchangeOTPFinalize {
				time.Sleep(limits().Deadline - time.Second)
			}
			return happens
		}
		service := otp.New(breaking, client, limits(), nil)
		start := time.Now()
		_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
		if otp.CauseOf(err) != otp.ErrNotStored || time.Since(start) != limits().Deadline {
			t.Errorf("after %v the caller is told %v", time.Since(start), err)
		}
		drained(t, service)
		d.mustRemain(t, remains{1, false, 0, 1, 1}, false)
		d.mustGoOn(t, newBridge(sim), false)
	})
}

// mustWaitForStore wants another call to wait for the device's account, and to be told that the store fails. inWebo receives nothing.
func (d *device) mustWaitForStore(t *testing.T, service *otp.Service) {
	t.Helper()
	heard := d.truth(t).Requests
	start := time.Now()
	_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	if otp.CauseOf(err) != otp.ErrStore || time.Since(start) != limits().QueueWait {
		t.Errorf("after %v another caller is told %v", time.Since(start), err)
	}
	if d.truth(t).Requests != heard {
		t.Error("another conversation began")
	}
}

// A lease whose outcome is unknown is recovered after the caller has its answer, with the account locked meanwhile.
func TestAHoldThatHangs(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		store := &valve{Store: d.memory}
		service := otp.New(store, newBridge(sim), limits(), nil)
		store.turn(true)
		start := time.Now()
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrStore || time.Since(start) != limits().StoreTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		d.mustWaitForStore(t, service)
		store.turn(false)
		drained(t, service)
		d.mustRemain(t, remains{}, false)
		mustHaveLines(t, d, "attempt", "outcome: "+string(otp.ReasonOf(otp.ErrStore)))
		d.mustGoOn(t, newBridge(sim), false)
	})
}

// A lease whose outcome is unknown, and which is refused when the store answers again, leaves nothing to settle.
func TestAHoldThatIsRefusedInTheEnd(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		store := &valve{Store: d.memory}
		service := otp.New(store, newBridge(sim), limits(), nil)
		store.turn(true)
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrStore {
			t.Errorf("told %v", err)
		}
		must(t, otp.New(d.memory, newBridge(sim), limits(), nil).Disable(t.Context(), d.request()))
		before, lines := d.record(t).Revision, d.lines(t)
		store.turn(false)
		drained(t, service)
		if r := d.record(t); r.Revision != before {
			t.Errorf("it has written %+v", r)
		}
		mustHaveLines(t, d, lines...)
	})
}

// A caller who hangs up never puts a device in doubt, whenever it is.
func TestACallerHangsUp(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, row := range map[string]struct {
		when   string
		steps  uint64
		issued bool
	}{
		"before":               {"before", 0, false},
		"while the hold hangs": {"hold", 0, false},
		"at the setup":         {string(inwebo.ExchangeOTPSetup), 1, true},
		"at the finalize":      {string(inwebo.ExchangeOTPFinalize), 1, true},
		"while it is settled":  {"settle", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{})
				ctx, hangUp := context.WithCancel(t.Context())
				at := func(when string) {
					if when == row.when {
						hangUp()
					}
				}
				store := &storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
					at(map[int64]string{hold.nth: "hold", settle1.nth: "settle"}[c.N])
					return storetest.Fault{}
				}}
				client := newBridge(sim)
				client.meddle = func(exchange inwebo.Exchange) mishap { at(string(exchange)); return fine }
				service := otp.New(store, client, limits(), nil)
				at("before")
				issued, err := service.IssueOTP(ctx, d.request(), rightPIN)
				drained(t, service)
				if row.issued {
					mustVerify(t, d, issued, err)
				} else if err == nil {
					t.Error("an OTP was issued to no caller")
				}
				if r := d.record(t); r.Step != row.steps || r.Doubt != nil || r.Lease != nil || len(r.Guard.Attempts) != 0 || len(r.Quota.Issues) != int(row.steps) {
					t.Errorf("%+v", r)
				}
				d.mustGoOn(t, newBridge(sim), false)
			})
		})
	}
}
