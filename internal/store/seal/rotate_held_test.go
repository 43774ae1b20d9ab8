package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A record that is held is waited for, and left to its holder until the hold is over; the others do not wait for it.
func TestRotateWaitsForHolders(t *testing.T) {
	t.Parallel()
	const hold, look = 17 * time.Second, 250 * time.Millisecond
	for name, tc := range map[string]struct {
		settles time.Duration // after so long; 0: never
		knows   bool          // the holder seals under the new key by then
		writes  int           // of the rotation, for this record
	}{
		"one that knows the new key":   {3 * time.Second, true, 0},
		"one that does not":            {3 * time.Second, false, 1},
		"one that settles at the last": {hold - 1, false, 1},
		"one that vanished":            {0, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory := storetest.NewMemory()
				old, both := keyringOf(t, line(1)), keyringOf(t, line(2), line(1))
				_, err := put(t, seal.New(memory, old), "held", 1, 0, time.Now().Add(hold))
				must(t, err)
				_, err = put(t, seal.New(memory, old), "idle", 1, 0, time.Time{})
				must(t, err)
				revision := func(account otp.Account) uint64 { return fetch(t, memory, account).Revision }

				var last seal.Progress
				waited, done := false, make(chan error, 1)
				go func() {
					done <- seal.Rotation{Rows: memory, Store: memory, Keyring: both, Progress: func(p seal.Progress) {
						waited, last = waited || p.Waiting == 1, p
					}}.Run(t.Context())
				}()
				time.Sleep(time.Second)
				if revision("idle") != 2 {
					t.Error("the idle record waits for the one that is held")
				}
				end, settled := hold, 0
				if tc.settles > 0 {
					end, settled = tc.settles, 1
				}
				time.Sleep(end - time.Second - time.Nanosecond)
				if revision("held") != 1 {
					t.Error("the record was taken from its holder")
				}
				if tc.settles > 0 {
					settler := old
					if tc.knows {
						settler = both
					}
					_, err := put(t, seal.New(memory, settler), "held", 2, 2, time.Time{})
					must(t, err)
				}
				time.Sleep(look)
				synctest.Wait()
				expectCensus(t, memory, seal.KeyUsage{both.Current(): 2})
				must(t, <-done)
				if got, want := revision("held"), uint64(1+settled+tc.writes); got != want || !waited {
					t.Errorf("in the end the record has revision %d, want %d; it was waited for: %v", got, want, waited)
				}
				if want := (seal.Progress{Found: 2, Sealed: 2}); last != want {
					t.Errorf("the progress ends with %+v, want %+v", last, want)
				}
			})
		})
	}
}

// slowInwebo lets every OTP through, sends new keys with it, and answers a finalize after so long, whatever its caller's
// patience: to the caller, that is a process that was stopped in the middle and goes on.
type slowInwebo struct {
	otp.Inwebo
	finalize time.Duration
}

func (slowInwebo) OTPSetup(context.Context, inwebo.Identity, string) (inwebo.Challenge, error) {
	return inwebo.Challenge{Text: "1"}, nil
}

func (s slowInwebo) OTPFinalize(context.Context, inwebo.Identity, string, ratchet.Proofs) (inwebo.OTPFinalize, error) {
	time.Sleep(s.finalize)
	move := ratchet.Move{DK1: []secret.Text{secret.NewText("0123")}}
	return inwebo.OTPFinalize{Defi: "1", Finalized: inwebo.Finalized{Sync: inwebo.Sync{Move: move}}}, nil
}

// For the domain itself, a rotation in the middle of a conversation whose hold is over is harmless: the holder, who
// comes back with an answer, settles it all the same, and the next OTP starts from the step that it brought.
func TestRotateBehindTheBackOfAHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		old, next := keyringOf(t, line(1), line(2)), keyringOf(t, line(2), line(1))
		digits := strings.Repeat("0", ratchet.KeyDigits)
		must(t, seal.New(memory, old).Create(t.Context(), otp.Write{ID: "a", Row: otp.Row{
			Account: "alice", Revision: 1,
			Body: []byte(`{"schema":1,"serial":"d/_/a","step":4,"movedBy":0,` +
				`"device":{"identity":{"id":"i","lastsync":"0"},"services":[{"id":"s","name":"n"}]}}`),
			Secrets: vault(`{"device":{"k0":"` + digits + `","k1":"` + digits + `","secret":"` + digits + `"}}`),
		}}))
		limits := otp.Limits{
			Deadline: 15 * time.Second, FinalizeTimeout: 5 * time.Second, QueueWait: 10 * time.Second, StoreTimeout: 5 * time.Second,
		}
		paused := otp.New(seal.New(memory, old), slowInwebo{finalize: 40 * time.Second}, limits, nil)
		answered := make(chan error, 1)
		go func() {
			_, err := paused.IssueOTP(t.Context(), otp.Request{Account: "alice"}, secret.NewText("1234"))
			answered <- err
		}()
		time.Sleep(20 * time.Second) // the hold is over, its holder is not
		must(t, seal.Rotation{Rows: memory, Store: memory, Keyring: next}.Run(t.Context()))
		expectCensus(t, memory, seal.KeyUsage{next.Current(): 1})
		if n := len(rotations(t, memory)); n != 1 {
			t.Fatalf("the rotation sealed %d records", n)
		}
		if err := <-answered; !errors.Is(err, otp.ErrNotStored) { // too late for an OTP, and not for the state
			t.Errorf("the holder's caller is told %v", err)
		}

		if left := paused.Drain(t.Context()); len(left) > 0 {
			t.Errorf("of %v the outcome was given up", left)
		}
		record, err := otp.Decode(fetch(t, seal.New(memory, next), "alice"))
		must(t, err)
		if record.Step != 5 || record.Lease != nil || record.Doubt != nil || record.Device.State.Keys.K1.Reveal() == digits {
			t.Errorf("after the answer the record is %+v", record)
		}
		prompt := otp.New(seal.New(memory, next), slowInwebo{}, limits, nil)
		issued, err := prompt.IssueOTP(t.Context(), otp.Request{Account: "alice"}, secret.NewText("1234"))
		if err != nil || issued.Step != 6 {
			t.Errorf("the next OTP is of step %d (%v)", issued.Step, err)
		}
	})
}
