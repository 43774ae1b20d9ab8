package otp_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// cautious are limits with a circuit, and without what else would refuse a call.
func cautious() otp.Limits {
	l := generous()
	l.Guard = otp.GuardLimits{}
	l.CircuitFaults, l.CircuitTimeout, l.SetupRepeats = 3, 5*time.Second, 0
	return l
}

// flaky is a device and a service to whose exchanges of one kind the same happens each time.
type flaky struct {
	*otp.Service
	d       *device
	happens mishap
	on      inwebo.Exchange
	takes   time.Duration // each exchange
	asked   int
	client  *bridge
}

func newFlaky(d *device) *flaky {
	client := newBridge(d.sim)
	f := &flaky{d: d, on: inwebo.ExchangeOTPSetup, client: client}
	client.meddle = func(exchange inwebo.Exchange) mishap {
		f.asked++
		time.Sleep(f.takes)
		if exchange == f.on {
			return f.happens
		}
		return fine
	}
	client.after = func(exchange inwebo.Exchange, _ mishap) mishap {
		if exchange == f.on {
			return f.happens
		}
		return fine
	}
	f.Service = otp.New(d.memory, client, cautious(), nil)
	return f
}

func (f *flaky) issue(t *testing.T, pin secret.Text) error {
	_, err := f.IssueOTP(t.Context(), f.d.request(), pin)
	return err
}

// mustOpen makes the circuit open, and gives how long it says it is.
func (f *flaky) mustOpen(t *testing.T) time.Duration {
	t.Helper()
	for range cautious().CircuitFaults {
		if err := f.issue(t, rightPIN); errors.Is(err, otp.ErrCircuitOpen) {
			t.Fatalf("too early: %v", err)
		}
	}
	var wait *otp.RetryAfterError
	if err := f.issue(t, rightPIN); !errors.As(err, &wait) || !errors.Is(err, otp.ErrCircuitOpen) {
		t.Fatalf("told %v, want that the circuit is open", err)
	}
	return wait.For
}

// A machine that has no file descriptors left says nothing of inWebo: the circuit stays closed for everybody, and nothing is spent.
func TestExhaustedDescriptorsDoNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, on := range []inwebo.Exchange{inwebo.ExchangeOTPSetup, inwebo.ExchangeOTPFinalize} {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFlaky(plant(t, sim, inwebosim.Override{}))
				f.happens, f.on = exhausted, on
				for range 3 * cautious().CircuitFaults {
					if err := f.issue(t, rightPIN); otp.CauseOf(err) != otp.ErrUnreachable {
						t.Fatalf("told %v", err)
					}
				}
				if r := f.d.record(t); r.Doubt != nil || len(r.Quota.Issues) != 0 {
					t.Errorf("it leaves %+v", r)
				}
				f.happens = fine
				if err := f.issue(t, rightPIN); err != nil {
					t.Errorf("with descriptors again: %v", err)
				}
			})
		})
	}
}

// While the circuit is open nothing is leased, spent or sent, and a caller that waits as told gets an OTP when inWebo is back.
func TestTheCircuitOpensBeforeAnythingIsSpent(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, happens := range []mishap{neverSent, requestLost, answerLost} {
		for _, on := range []inwebo.Exchange{inwebo.ExchangeOTPSetup, inwebo.ExchangeOTPFinalize} {
			t.Run(fmt.Sprint(happens, " on ", on), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newFlaky(plant(t, sim, inwebosim.Override{}))
					f.happens, f.on = happens, on
					wait := f.mustOpen(t)
					before, asked := f.d.row(t), f.asked
					_, enrolling := f.Enroll(t.Context(), f.d.request(), otp.EnrollRequest{Replace: true})
					_, checking := f.HasPIN(t.Context(), f.d.request(), smsCode)
					for _, err := range []error{f.issue(t, rightPIN), enrolling, checking} {
						if !errors.Is(err, otp.ErrCircuitOpen) {
							t.Errorf("told %v", err)
						}
					}
					if after := f.d.row(t); after.Revision != before.Revision || f.asked != asked {
						t.Errorf("revision %d became %d, %d exchanges became %d", before.Revision, after.Revision, asked, f.asked)
					}
					f.happens = fine
					time.Sleep(wait)
					if err := f.issue(t, rightPIN); errors.Is(err, otp.ErrCircuitOpen) {
						t.Errorf("after a wait of %v: %v", wait, err)
					}
					if err := f.issue(t, rightPIN); errors.Is(err, otp.ErrCircuitOpen) {
						t.Errorf("after an answer: %v", err)
					}
				})
			})
		}
	}
}

// What inWebo answers, whatever it is, never opens the circuit.
func TestAnswersNeverOpenTheCircuit(t *testing.T) {
	t.Parallel()
	sim := started(t, func(k *inwebosim.Knobs) { k.WrongLimit = 5 })
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(plant(t, sim, inwebosim.Override{}))
		for range 20 { // wrong PINs, and then that the account is blocked
			if err := f.issue(t, secret.NewText("9999")); errors.Is(err, otp.ErrCircuitOpen) {
				t.Fatal(err)
			}
		}
		f.happens = nonsense
		for range 20 {
			if err := f.issue(t, rightPIN); errors.Is(err, otp.ErrCircuitOpen) {
				t.Fatal(err)
			}
		}
	})
}

// One conversation finds out whether inWebo is back; other callers are refused meanwhile, and none of them waits for it.
func TestOneConversationProbes(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(plant(t, sim, inwebosim.Override{}))
		f.happens = requestLost
		time.Sleep(f.mustOpen(t))
		f.happens, f.takes = fine, time.Second
		probed := make(chan error)
		go func() { probed <- f.issue(t, rightPIN) }()
		synctest.Wait()
		other, began := *f.d, time.Now()
		other.account = "other"
		other.put(t, f.d.before)
		_, err := f.IssueOTP(t.Context(), other.request(), rightPIN)
		if !errors.Is(err, otp.ErrCircuitOpen) || time.Since(began) > 0 {
			t.Errorf("beside a probe: %v after %v", err, time.Since(began))
		}
		if err := <-probed; err != nil {
			t.Errorf("the probe: %v", err)
		}
	})
}

// Setups are repeated within the budget, and no further.
func TestSetupsAreRepeatedWithinABudget(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		client, setups := newBridge(sim), 0
		client.meddle = func(inwebo.Exchange) mishap {
			setups++
			return neverSent
		}
		limits := cautious()
		limits.CircuitFaults, limits.SetupRepeats = 0, 10
		service := otp.New(d.memory, client, limits, nil)
		for range 100 {
			_, _ = service.IssueOTP(t.Context(), d.request(), rightPIN)
		}
		if setups < 110 || setups > 120 { // 10 to begin with, and 10 in a hundred
			t.Errorf("%d setups for 100 calls", setups)
		}
	})
}

// A call that found inWebo's circuit half open and then must wait for a device that another process has leased gives its permit
// back: other accounts do not wait for it.
func TestWaitingCallKeepsNoPermit(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d, uninvolved := plant(t, sim, inwebosim.Override{}), plant(t, sim, inwebosim.Override{})
		must(t, d.memory.Create(t.Context(), otp.Write{ID: "uninvolved", Row: uninvolved.row(t)}))
		slow := newBridge(sim)
		slow.meddle = func(inwebo.Exchange) mishap { time.Sleep(4 * time.Second); return fine }
		otherProcess := otp.New(d.memory, slow, cautious(), nil)

		f, overtaken := newFlaky(d), false
		f.happens = neverSent
		f.Service = otp.New(&storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
			if f.happens == fine && c.Verb == storetest.Replace && !overtaken { // the other process takes the lease first
				overtaken = true
				go func() { _, _ = otherProcess.IssueOTP(t.Context(), d.request(), rightPIN) }()
				time.Sleep(time.Second)
			}
			return storetest.Fault{}
		}}, f.client, cautious(), nil)
		time.Sleep(f.mustOpen(t))
		f.happens = fine
		callerErr := make(chan error, 1)
		go func() { callerErr <- f.issue(t, rightPIN) }()
		time.Sleep(3 * time.Second)
		if issued, err := f.IssueOTP(t.Context(), uninvolved.request(), rightPIN); err != nil || !sim.Verify(issued.OTP.Reveal()) {
			t.Errorf("an uninvolved account: %v", err)
		}
		if err := <-callerErr; err != nil {
			t.Errorf("the call that waited: %v", err)
		}
	})
}
