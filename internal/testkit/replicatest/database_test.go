package replicatest_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// PostgreSQL goes away in the middle of load, by command or by a crash, and comes back: callers are told 2000 when inWebo
// was not asked for an OTP, and 2316 or a late OTP when it was. No process is restarted, and no device is lost.
func TestTheDatabaseGoesAway(t *testing.T) {
	outages := either(2, 20)
	for _, lost := range []inwebosim.LostFinalize{inwebosim.LostFinalizeStrict, inwebosim.LostFinalizeLenient} {
		t.Run(string(lost), func(t *testing.T) {
			t.Parallel()
			server := database.Twin(t)
			knobs := inwebosim.DefaultKnobs()
			knobs.LostFinalize = lost
			w := newHarness(t, onPostgres(server)(t), settings{
				"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s",
			}, knobs)
			accounts := w.enroll(16)
			processes := w.starts(2)
			w.inwebo.SetHooks(inwebosim.Hooks{After: func(inwebosim.Exchange) { time.Sleep(rand.N(20 * time.Millisecond)) }})

			load := w.load(processes, accounts)
			for i := range outages {
				end := server.Stop
				if i%2 == 1 {
					end = server.Kill
				}
				load.wantProgress()
				time.Sleep(rand.N(50 * time.Millisecond)) // at some moment
				if err := end(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration((3*i+1)%5) * 3500 * time.Millisecond) // a conversation takes 12 s at most
				if err := server.StartAgain(); err != nil {
					t.Fatal(err)
				}
			}
			load.wantProgress()
			load.end()
			for _, p := range processes {
				w.wantAllOn(p, accounts)
			}
		})
	}
}

// load is a caller for each account that calls one process for ever.
type load struct {
	w       *harness
	callers sync.WaitGroup
	stop    chan struct{}  // closed at the end
	end     func()         // waits for the callers; at the latest when the test ends
	good    []atomic.Int64 // OTPs, by account

	mu   sync.Mutex
	told map[string]int
}

func (w *harness) load(processes []*process, accounts []string) *load {
	l := &load{w: w, stop: make(chan struct{}), good: make([]atomic.Int64, len(accounts)), told: map[string]int{}}
	l.end = sync.OnceFunc(func() {
		close(l.stop)
		l.callers.Wait()
		w.t.Logf("callers were told: %v", l.told)
	})
	w.t.Cleanup(l.end)
	for i, account := range accounts {
		l.callers.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
					l.ask(processes[i%len(processes)], account, &l.good[i])
				}
			}
		})
	}
	return l
}

// ask calls once, and compares the answer with what inWebo has seen of the account, which has no other caller.
func (l *load) ask(p *process, account string, good *atomic.Int64) {
	finalizes := l.w.expected(account).Finalizes
	a := l.w.ask(p, account)
	sent := l.w.expected(account).Finalizes - finalizes
	l.mu.Lock()
	l.told[a.String()]++
	l.mu.Unlock()
	switch {
	case sent == 1 && l.w.verifies(account, a):
		good.Add(1)
	case sent == 0 && a.code == 2000, sent == 1 && a.code == 2316:
		time.Sleep(50 * time.Millisecond)
	default:
		l.w.t.Errorf("%s: %v, and inWebo was sent %d finalizes", account, a, sent)
		time.Sleep(time.Second)
	}
}

// wantProgress waits until every account has an OTP that it did not have.
func (l *load) wantProgress() {
	l.w.t.Helper()
	before := make([]int64, len(l.good))
	for i := range l.good {
		before[i] = l.good[i].Load()
	}
	until(l.w.t, "every account gets another OTP", func() bool {
		for i := range l.good {
			if l.good[i].Load() <= before[i] {
				return false
			}
		}
		return true
	})
}

// count returns how many OTPs the callers have.
func (l *load) count() (n int64) {
	for i := range l.good {
		n += l.good[i].Load()
	}
	return n
}
