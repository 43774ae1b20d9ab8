package otp_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// patient are limits for crowds: everybody waits as long as it takes.
func patient() otp.Limits {
	l := generous()
	l.Deadline, l.FinalizeTimeout, l.QueueWait, l.StoreTimeout = time.Minute, 10*time.Second, time.Minute, 30*time.Second
	return l
}

// Many callers of one device, in two services on one store: every OTP verifies, none comes twice, the step moves by one
// for each, and inWebo never sees two conversations at once.
func TestOneDeviceManyCallers(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, stores := range map[string]func(*device) [2]otp.Store{
		"in memory": func(d *device) [2]otp.Store { return [2]otp.Store{d.memory, d.memory} },
		"on SQLite": func(*device) [2]otp.Store {
			dir := filepath.Join(t.TempDir(), "data")
			return [2]otp.Store{openSQLite(t, dir), openSQLite(t, dir)}
		},
	} {
		for _, movement := range []inwebosim.Ratchet{inwebosim.RatchetDK1, inwebosim.RatchetK0K1} {
			d := plant(t, sim, inwebosim.Override{Ratchet: movement})
			pair := stores(d)
			t.Run(fmt.Sprintf("%s/%s", name, movement), func(t *testing.T) {
				t.Parallel()
				if pair[0] != otp.Store(d.memory) {
					must(t, pair[0].Create(t.Context(), otp.Write{ID: "plant", Row: d.row(t)}))
				}
				d.testCrowd(t, pair)
			})
		}
	}
}

func (d *device) testCrowd(t *testing.T, stores [2]otp.Store) {
	const callers, each = 64, 3
	client := wire(t, d.sim.ProtocolURL(), time.Minute)
	services := []*otp.Service{otp.New(stores[0], client, patient(), nil), otp.New(stores[1], client, patient(), nil)}
	var mu sync.Mutex
	var steps []uint64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range each {
				issued, err := services[i%2].IssueOTP(t.Context(), d.request(), rightPIN)
				mustVerify(t, d, issued, err)
				mu.Lock()
				steps = append(steps, issued.Step)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(steps)
	for i, step := range steps {
		if step != uint64(i+1) {
			t.Fatalf("the steps are %v", steps)
		}
	}
	if truth := d.truth(t); truth.Overlaps != 0 || truth.MaxFinalizesPerChallenge != 1 || truth.Step != callers*each || truth.Setups != callers*each {
		t.Errorf("inWebo saw %+v", truth.Counters)
	}
}

func openSQLite(t *testing.T, dir string) otp.Store {
	t.Helper()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

// Many devices at once: while one's conversation hangs, no other waits.
func TestManyDevices(t *testing.T) {
	t.Parallel()
	const devices, callers = 100, 2
	sim := started(t, func(*inwebosim.Knobs) {})
	store := storetest.NewMemory()
	fleet := make([]*device, devices)
	for i := range fleet {
		fleet[i] = plant(t, sim, inwebosim.Override{})
		must(t, store.Create(t.Context(), otp.Write{ID: fmt.Sprint(i), Row: fleet[i].row(t)}))
	}
	client := newBridge(sim)
	hangs, free := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	client.meddle = func(inwebo.Exchange) mishap {
		if first.CompareAndSwap(false, true) {
			close(hangs)
			<-free
		}
		return fine
	}
	service := otp.New(store, client, patient(), nil)
	stuck := make(chan error, 1)
	go func() {
		_, err := service.IssueOTP(t.Context(), fleet[0].request(), rightPIN)
		stuck <- err
	}()
	<-hangs
	var all sync.WaitGroup
	for _, d := range fleet[1:] {
		for range callers {
			all.Go(func() {
				issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
				mustVerify(t, d, issued, err)
			})
		}
	}
	all.Wait() // though the first device still hangs
	close(free)
	must(t, <-stuck)
	if totals := sim.Totals(); totals.Overlaps != 0 || totals.Step != (devices-1)*callers+1 {
		t.Errorf("inWebo saw %+v", totals)
	}
}

// A free device is never called busy, not even when no caller may wait.
func TestNobodyWaitsForAFreeDevice(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	limits := generous()
	limits.QueueWait = 0
	service := otp.New(d.memory, newBridge(sim), limits, nil)
	for range 50 {
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); errors.Is(err, otp.ErrBusy) {
			t.Fatalf("a lone caller is told %v", err)
		}
	}
}
