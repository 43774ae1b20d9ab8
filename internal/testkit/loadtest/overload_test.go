package loadtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

const (
	places   = 8 // calls in flight
	exchange = 400 * time.Millisecond
	overload = 5 // times the capacity
)

// manyCallers is so many accounts that none is called for while it is called for already, and one caller that asks for them in turn.
type manyCallers struct {
	accounts []*pimsdtest.Account
	client   *http.Client
	next     atomic.Int64
}

// measured is what came of the calls of a while.
type measured struct {
	mu                sync.Mutex
	given, turnedAway []time.Duration // of OTPs, and of refusals
	strange           map[string]int
	retries           int // refusals with a Retry-After
}

func newManyCallers(t *testing.T, d *pimsdtest.Daemon, size int) *manyCallers {
	c := &manyCallers{client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
	t.Cleanup(c.client.CloseIdleConnections)
	for i := range size {
		c.accounts = append(c.accounts, d.Enroll(fmt.Sprintf("account-%d", i), aPIN))
	}
	return c
}

// call asks for an OTP of the account whose turn it is.
func (c *manyCallers) call(m *measured) {
	a := c.accounts[int(c.next.Add(1))%len(c.accounts)]
	began := time.Now()
	status, code, retry := c.ask(a)
	took := time.Since(began)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case status == http.StatusOK:
		m.given = append(m.given, took)
	case status == http.StatusServiceUnavailable && code:
		m.turnedAway = append(m.turnedAway, took)
		if retry {
			m.retries++
		}
	default:
		m.strange[fmt.Sprint(status)]++
	}
}

func (c *manyCallers) ask(a *pimsdtest.Account) (status int, overloaded, retry bool) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, a.Daemon.URL("/v1/authentication/otp"),
		strings.NewReader(pimsdtest.WithPIN(aPIN)))
	if err != nil {
		return 0, false, false
	}
	req.Header.Set("Authorization", "Bearer "+a.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, false, false
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.Contains(string(body), `"code":2001`), resp.Header.Get("Retry-After") != ""
}

// atCapacity has as many callers as there are places, each with one call after the other.
func (c *manyCallers) atCapacity(length time.Duration) (*measured, float64) {
	m := &measured{strange: map[string]int{}}
	began := time.Now()
	var all sync.WaitGroup
	for range places {
		all.Go(func() {
			for time.Since(began) < length {
				c.call(m)
			}
		})
	}
	all.Wait()
	return m, float64(len(m.given)) / time.Since(began).Seconds()
}

// fill is how long the places and the queue take to fill; OTPs are counted from then on.
const fill = time.Second

// beyond sends so many calls a second, whatever becomes of those before.
func (c *manyCallers) beyond(perSecond float64, length time.Duration) (*measured, float64) {
	m := &measured{strange: map[string]int{}}
	began := time.Now()
	var all sync.WaitGroup
	first := -1
	for sent := 0; time.Since(began) < fill+length; {
		for ; float64(sent) < time.Since(began).Seconds()*perSecond; sent++ {
			all.Go(func() { c.call(m) })
		}
		if first < 0 && time.Since(began) >= fill {
			first = m.otps()
		}
		time.Sleep(time.Millisecond)
	}
	given := m.otps() - first
	all.Wait()
	return m, float64(given) / length.Seconds()
}

func (m *measured) otps() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.given)
}

func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(int(q*float64(len(times))), len(times)-1)]
}

// heap is what is alive, in MiB.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// At five times what there are places for, as many OTPs are given as at capacity, and the rest is refused at once.
func TestOverload(t *testing.T) {
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.Load.InFlight, s.Config.Load.Waiting = places, places/2
		s.Config.Log.Level = "error"
		s.Inwebo.HistoryLimit, s.Inwebo.Knobs.OTPLife = -1, inwebosim.Duration(time.Second)
	})
	c := newManyCallers(t, d, 16*places)
	if err := d.Inwebo.Plant(inwebosim.Fault{Kind: inwebosim.KindDelay, Delay: inwebosim.Duration(exchange), Times: -1}); err != nil {
		t.Fatal(err)
	}
	c.atCapacity(time.Second) // until all connections are there
	calm, capacity := c.atCapacity(either(2*time.Second, 10*time.Second))
	before, goroutines := heap(), runtime.NumGoroutine()
	crowded, goodput := c.beyond(overload*capacity, either(4*time.Second, 30*time.Second))
	after := heap()

	otp, refusal := quantile(calm.given, 0.5), quantile(crowded.turnedAway, 0.99)
	t.Logf("at capacity %.1f OTP/s (p50 %v); at %d times that %.1f OTP/s (%.0f %%; p50 %v, p99 %v); %d refusals, p50 %v, p99 %v; "+
		"heap %.1f MiB before, %.1f MiB after; %d goroutines before, %d after",
		capacity, otp, overload, goodput, 100*goodput/capacity, quantile(crowded.given, 0.5), quantile(crowded.given, 0.99),
		len(crowded.turnedAway), quantile(crowded.turnedAway, 0.5), refusal, before, after, goroutines, runtime.NumGoroutine())
	least, most := 0.7, otp/2 // of a short run, on a machine that may have other things to do
	if *whole {
		least, most = 0.9, otp/8
	}
	switch {
	case len(calm.turnedAway) > 0 || len(calm.strange)+len(crowded.strange) > 0:
		t.Errorf("at capacity %d are refused; strange answers: %v, %v", len(calm.turnedAway), calm.strange, crowded.strange)
	case goodput < least*capacity:
		t.Errorf("%.1f OTPs a second of %.1f", goodput, capacity)
	case len(crowded.turnedAway) < 2*len(crowded.given) || crowded.retries != len(crowded.turnedAway):
		t.Errorf("%d were refused, %d of them with a Retry-After", len(crowded.turnedAway), crowded.retries)
	case quantile(crowded.turnedAway, 0.5) > most || *whole && refusal > otp/2:
		t.Errorf("a refusal takes %v, or %v; an OTP %v", quantile(crowded.turnedAway, 0.5), refusal, otp)
	case after > before+8:
		t.Errorf("%.1f MiB before, %.1f MiB after", before, after)
	}
	for i, a := range c.accounts {
		if expected := a.Expected(); expected.Overlaps+expected.WrongProofs > 0 || expected.MaxFinalizesPerChallenge > 1 {
			t.Errorf("account %d: inWebo has seen %+v", i, expected.Counters)
		}
	}
}
