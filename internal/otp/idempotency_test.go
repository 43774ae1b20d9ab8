package otp_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// plainBody is a body whose fingerprint hides nothing.
type plainBody string

func (b plainBody) Fingerprint() []byte { return []byte(b) }

func (b plainBody) Has(fingerprint []byte) (bool, error) {
	return bytes.Equal(fingerprint, []byte(b)), nil
}

// repeatable is the device's call with that key, a letter, and body.
func (d *device) repeatable(key, body string) otp.Request {
	request := d.request()
	request.Idempotency = &otp.IdempotentCall{Key: strings.Repeat(key, 64), Body: plainBody(body), Answer: toldBy}
	return request
}

// toldBy is what a caller is told.
func toldBy(text secret.Text, err error) secret.Bytes {
	if err != nil {
		return secret.NewBytes([]byte(otp.CauseOf(err).Error()))
	}
	return secret.NewBytes([]byte("OTP " + text.Reveal()))
}

func repeatLimits() otp.Limits {
	l := generous()
	l.ResponseLifetime = time.Minute
	return l
}

// What inWebo has answered is told again; what it was never asked is done again.
func TestARepeatIsTold(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, row := range map[string]struct {
		pin       secret.Text
		own       inwebosim.Override
		exchange  inwebo.Exchange
		happens   mishap
		callerErr error
		finalizes uint32 // by both calls
	}{
		"an OTP":             {pin: rightPIN, finalizes: 1},
		"an OTP of 2 rounds": {pin: rightPIN, own: inwebosim.Override{SecondRound: secondRound(2)}, finalizes: 2},
		"a wrong PIN":        {pin: wrongPIN, callerErr: otp.ErrPINRefused, finalizes: 1},
		"a lost answer":      {pin: rightPIN, exchange: inwebo.ExchangeOTPFinalize, happens: answerLost, callerErr: otp.ErrUnreachable, finalizes: 2},
		"a finalize unsent":  {pin: rightPIN, exchange: inwebo.ExchangeOTPFinalize, happens: neverSent, callerErr: otp.ErrUnreachable, finalizes: 1},
		"a setup unsent":     {pin: rightPIN, exchange: inwebo.ExchangeOTPSetup, happens: neverSent, callerErr: otp.ErrUnreachable, finalizes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, client := plant(t, sim, row.own), newBridge(sim)
				broken := row.happens != fine
				client.meddle = func(exchange inwebo.Exchange) mishap {
					if exchange == row.exchange && broken {
						return row.happens
					}
					return fine
				}
				service := otp.New(d.memory, client, repeatLimits(), nil)
				first, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), row.pin)
				if otp.CauseOf(err) != row.callerErr {
					t.Fatalf("told %v, want %v", err, row.callerErr)
				}
				broken = false
				lines := len(d.lines(t))
				second, again := service.IssueOTP(t.Context(), d.repeatable("a", "body"), row.pin)
				if got := d.truth(t).Finalizes; got != row.finalizes {
					t.Errorf("inWebo has got %d finalizes, want %d", got, row.finalizes)
				}
				if row.happens != fine {
					if !second.StoredResponse.IsEmpty() {
						t.Error("what was not answered is told again")
					}
					return
				}
				want := toldBy(first.OTP, err)
				if again != nil || !bytes.Equal(second.StoredResponse.Reveal(), want.Reveal()) {
					t.Errorf("the repeat is told %q (%v), want %q", second.StoredResponse.Reveal(), again, want.Reveal())
				}
				if len(d.lines(t)) != lines {
					t.Error("a repeat leaves a line")
				}
			})
		})
	}
}

// A key is good for one body, for a minute, and then for nothing.
func TestAKeyIsSpent(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		service := otp.New(d.memory, newBridge(sim), repeatLimits(), nil)
		request := func(key, body string) error {
			t.Helper()
			issued, err := service.IssueOTP(t.Context(), d.repeatable(key, body), rightPIN)
			if err == nil && issued.StoredResponse.IsEmpty() {
				mustVerify(t, d, issued, nil)
			}
			return err
		}
		must(t, request("a", "body"))
		for range 3 {
			if err := request("a", "body"); err != nil {
				t.Errorf("a repeat: %v", err)
			}
		}
		if err := request("a", "another"); !errors.Is(err, otp.ErrKeyReused) {
			t.Errorf("another body: %v", err)
		}
		for _, body := range []string{"another", "body"} {
			if err := request("a", body); !errors.Is(err, otp.ErrKeySpent) {
				t.Errorf("after another body: %v", err)
			}
		}
		must(t, request("b", "body"))
		time.Sleep(time.Minute - time.Millisecond)
		must(t, request("b", "body"))
		time.Sleep(time.Millisecond)
		for _, body := range []string{"another", "body"} {
			if err := request("b", body); !errors.Is(err, otp.ErrKeySpent) {
				t.Errorf("after a minute: %v", err)
			}
		}
		if got := d.truth(t).Finalizes; got != 2 {
			t.Errorf("inWebo has got %d finalizes, want 2", got)
		}
	})
}

// A stored response that is tried with another body is spent on every replica: none gets a second try, and none the response.
func TestGuessesAtAStoredResponseOnTwoReplicas(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	replicas := []*otp.Service{otp.New(d.memory, newBridge(sim), repeatLimits(), nil), otp.New(d.memory, newBridge(sim), repeatLimits(), nil)}
	issued, err := replicas[0].IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
	mustVerify(t, d, issued, err)
	for i, body := range []string{"guess", "another guess", "body", "body"} {
		want := otp.ErrKeySpent
		if i == 0 {
			want = otp.ErrKeyReused
		}
		got, err := replicas[(i+1)%2].IssueOTP(t.Context(), d.repeatable("a", body), rightPIN)
		if otp.CauseOf(err) != want || !got.StoredResponse.IsEmpty() {
			t.Errorf("try %d with %q: %v, want %v", i, body, err, want)
		}
	}
	if got := d.truth(t).Finalizes; got != 1 {
		t.Errorf("inWebo has got %d finalizes, want 1", got)
	}
}

// While the first call is under way, the same key is refused here and in another process, and told how long to wait.
func TestARepeatOfACallUnderWay(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d, client := plant(t, sim, inwebosim.Override{}), newSlowBridge(sim)
		here, elsewhere := otp.New(d.memory, client, repeatLimits(), nil), otp.New(d.memory, newBridge(sim), repeatLimits(), nil)
		var first sync.WaitGroup
		var issued otp.Issued
		first.Go(func() {
			var err error
			if issued, err = here.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second / 2)
		for name, service := range map[string]*otp.Service{"here": here, "elsewhere": elsewhere} {
			_, err := service.IssueOTP(t.Context(), d.repeatable("a", "another"), wrongPIN)
			wait, ok := errors.AsType[*otp.RetryAfterError](err)
			if !errors.Is(err, otp.ErrKeyInFlight) || !ok || wait.For < time.Second {
				t.Errorf("%s: %v", name, err)
			}
		}
		first.Wait()
		for name, service := range map[string]*otp.Service{"here": here, "elsewhere": elsewhere} {
			again, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
			if err != nil || string(again.StoredResponse.Reveal()) != "OTP "+issued.OTP.Reveal() {
				t.Errorf("%s: %q, %v", name, again.StoredResponse.Reveal(), err)
			}
		}
	})
}

// A store that takes the outcome late keeps the OTP that its caller could not have, for the repeat.
func TestALateSettleKeepsTheOTP(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		var working atomic.Bool
		service := otp.New(&storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
			if c.Verb == storetest.Replace && c.Write.Response != nil && !working.Load() {
				return storetest.Fault{Err: errStoreFault}
			}
			return storetest.Fault{}
		}}, newBridge(sim), repeatLimits(), nil)
		if _, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN); !errors.Is(err, otp.ErrNotStored) {
			t.Fatalf("told %v", err)
		}
		if _, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN); !errors.Is(err, otp.ErrKeyInFlight) {
			t.Errorf("while it is being settled: %v", err)
		}
		working.Store(true)
		time.Sleep(5 * time.Second)
		again, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
		text, isOTP := strings.CutPrefix(string(again.StoredResponse.Reveal()), "OTP ")
		if err != nil || !isOTP {
			t.Fatalf("the repeat is told %q, %v", again.StoredResponse.Reveal(), err)
		}
		mustVerify(t, d, otp.Issued{OTP: secret.NewText(text)}, nil)
	})
}

// A holder that slept past its deadline finds that its call was repeated elsewhere, and refused: its OTP is the answer.
func TestALateOTPReplacesARefusal(t *testing.T) {
	t.Parallel()
	sim := started(t, func(k *inwebosim.Knobs) { k.LostFinalize = inwebosim.LostFinalizeStrict })
	synctest.Test(t, func(t *testing.T) {
		d, client := plant(t, sim, inwebosim.Override{}), newBridge(sim)
		asleep := make(chan struct{})
		client.after = func(exchange inwebo.Exchange, happens mishap) mishap {
			if exchange == inwebo.ExchangeOTPFinalize {
				<-asleep
			}
			return happens
		}
		sleeper, awake := otp.New(d.memory, client, repeatLimits(), nil), otp.New(d.memory, newBridge(sim), repeatLimits(), nil)
		var first sync.WaitGroup
		first.Go(func() { _, _ = sleeper.IssueOTP(context.Background(), d.repeatable("a", "body"), rightPIN) })
		time.Sleep(repeatLimits().Deadline + otp.HoldMargin)
		if _, err := awake.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN); !errors.Is(err, otp.ErrInDoubt) {
			t.Fatalf("the repeat that takes over is told %v", err)
		}
		again, err := awake.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
		if string(again.StoredResponse.Reveal()) != otp.ErrInDoubt.Error() || err != nil {
			t.Errorf("the next repeat is told %q, %v", again.StoredResponse.Reveal(), err)
		}
		close(asleep)
		first.Wait()
		drained(t, sleeper)
		again, err = awake.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
		if !strings.HasPrefix(string(again.StoredResponse.Reveal()), "OTP ") || err != nil {
			t.Errorf("after the late settle, the repeat is told %q, %v", again.StoredResponse.Reveal(), err)
		}
	})
}

// When a key cannot be spent, the other body is told nothing.
func TestAKeyThatCannotBeSpent(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, verb := range []storetest.Verb{storetest.Update, storetest.DiscardResponse} {
		d := plant(t, sim, inwebosim.Override{})
		service := otp.New(&storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
			if c.Verb == verb && d.truth(t).Finalizes > 0 {
				return storetest.Fault{Err: errStoreFault}
			}
			return storetest.Fault{}
		}}, newBridge(sim), repeatLimits(), nil)
		issued, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
		mustVerify(t, d, issued, err)
		if _, err := service.IssueOTP(t.Context(), d.repeatable("a", "another"), wrongPIN); otp.CauseOf(err) != otp.ErrStore {
			t.Errorf("%s: told %v", verb, err)
		}
	}
}

// stale is a store whose next consistent read comes from a connection that lags behind.
type stale struct {
	otp.Store
	row   otp.Row
	reads atomic.Int64
}

func (s *stale) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	read := func(ctx context.Context) (otp.Snapshot, error) {
		if s.reads.Add(1) == 2 {
			return otp.Snapshot{Row: s.row, Now: time.Now()}, nil
		}
		return storetest.Snapshot(ctx, s.Store, account, key)
	}
	return otp.UpdateInSteps(ctx, read, s.Store, decide)
}

// Record and stored response come from one read: a repeat that reads a state from before its call finds that it cannot
// lease the device, reads again, and does not do the call twice.
func TestARepeatThatReadsAnOldState(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	store := &stale{Store: d.memory, row: d.row(t)}
	service := otp.New(store, newBridge(sim), repeatLimits(), nil)
	first, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
	mustVerify(t, d, first, err)
	second, err := service.IssueOTP(t.Context(), d.repeatable("a", "body"), rightPIN)
	if err != nil || second.StoredResponse.IsEmpty() || d.truth(t).Finalizes != 1 || store.reads.Load() != 3 {
		t.Errorf("the repeat is told %q (%v), inWebo got %d finalizes, %d reads", second.StoredResponse.Reveal(), err, d.truth(t).Finalizes, store.reads.Load())
	}
}

// A stored response is told for as long as its setting says and no longer, also when the clock is set back meanwhile.
func TestStoredResponseAfterClockWasSetBack(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		store := &shifted{Store: d.memory}
		service := otp.New(store, newBridge(sim), repeatLimits(), nil)
		_, err := service.IssueOTP(t.Context(), d.repeatable("a", "x"), rightPIN)
		must(t, err)
		store.advance(-otp.HoldMargin) // up to that, two processes may differ in pace
		if again, err := service.IssueOTP(t.Context(), d.repeatable("a", "x"), rightPIN); err != nil || again.StoredResponse.IsEmpty() {
			t.Errorf("told %v", err)
		}
		store.advance(-9 * time.Minute)
		for range 10 {
			time.Sleep(repeatLimits().ResponseLifetime)
			if _, err := service.IssueOTP(t.Context(), d.repeatable("a", "x"), rightPIN); !errors.Is(err, otp.ErrKeySpent) {
				t.Errorf("told %v", err)
			}
		}
	})
}
