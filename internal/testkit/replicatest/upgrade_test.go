package replicatest_test

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// balancer sends calls to replicas in turn, as a load balancer does that asks each for its readiness.
type balancer struct {
	w       *harness
	client  *http.Client // of the probes
	next    atomic.Uint64
	retried atomic.Int64

	mu    sync.RWMutex
	ready []*process
}

// watch asks the replicas for their readiness until stop is closed.
func (b *balancer) watch(replicas func() []*process, stop <-chan struct{}) {
	for {
		var ready []*process
		for _, p := range replicas() {
			if b.isReady(p) {
				ready = append(ready, p)
			}
		}
		b.mu.Lock()
		b.ready = ready
		b.mu.Unlock()
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *balancer) isReady(p *process) bool {
	resp, err := b.client.Get("http://" + p.ops + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (b *balancer) pick() *process {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.ready) == 0 {
		return nil
	}
	return b.ready[int(b.next.Add(1))%len(b.ready)]
}

// ask makes a call, again where the first replica was not there or said that it does nothing.
func (b *balancer) ask(account string) (a answer) {
	for began := time.Now(); time.Since(began) < testTimeout; {
		p := b.pick()
		if p == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		a = b.w.ask(p, account)
		if !errors.Is(a.err, syscall.ECONNREFUSED) && (a.status != http.StatusServiceUnavailable || a.after == 0) {
			return a
		}
		b.retried.Add(1)
	}
	return a
}

// Two replicas are rolled one after the other, again and again, while callers go on calling: every call gets its OTP, but for
// those that inWebo refuses.
func TestUpgradeUnderLoad(t *testing.T) {
	noLeaks(t)
	w := newHarness(t, onPostgres(database)(t), settings{"STOP_DRAIN_DELAY": "1500ms"}, inwebosim.DefaultKnobs())
	accounts := w.enroll(16)
	refused := accounts[0]
	replicas := w.starts(2)
	var mu sync.Mutex
	b := &balancer{w: w, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}}
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		b.watch(func() []*process {
			mu.Lock()
			defer mu.Unlock()
			return append([]*process(nil), replicas...)
		}, stop)
	})
	refuse := inwebosim.Fault{
		Kind: inwebosim.KindErr, Match: inwebosim.Match{Action: actionFinalize, ID: w.devices[refused]}, Err: "NOK:NOSRV", Times: 1,
	}
	var given, refusals atomic.Int64
	for _, account := range accounts {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				wanted := 0
				if account == refused && n%3 == 0 {
					wanted = 2314
					if err := w.inwebo.Plant(refuse); err != nil {
						t.Error(err)
					}
				}
				switch a := b.ask(account); {
				case wanted != 0 && a.code == wanted:
					refusals.Add(1)
				case wanted == 0 && w.verifies(account, a):
					given.Add(1)
				default:
					t.Errorf("%s: %v, %d; want code %d or an OTP that verifies", account, a, a.status, wanted)
				}
			}
		})
	}
	for range either(2, 20) {
		for i := range replicas {
			before := given.Load()
			until(t, "calls go on", func() bool { return given.Load() > before+50 })
			replicas[i].terminate()
			next := w.start()
			mu.Lock()
			replicas[i] = next
			mu.Unlock()
			until(t, "the new replica is ready", func() bool { return b.isReady(next) })
		}
	}
	close(stop)
	load.Wait()
	b.client.CloseIdleConnections()
	if refusals.Load() == 0 || given.Load() < 100 {
		t.Errorf("%d OTPs and %d refusals are no load", given.Load(), refusals.Load())
	}
	for _, account := range accounts {
		if status := w.status(account); status.InDoubt {
			t.Errorf("%s is in doubt", account)
		}
	}
	t.Logf("%d OTPs, %d refusals of inWebo, %d calls sent to another replica", given.Load(), refusals.Load(), b.retried.Load())
}
