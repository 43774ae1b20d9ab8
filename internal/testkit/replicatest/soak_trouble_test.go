package replicatest_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// troubleTime is how long a trouble that ends by itself goes on.
const troubleTime = 2 * time.Second

// everyStoresTroubles are those that do not depend on the store. The first replica is suspended at most.
func everyStoresTroubles() []trouble {
	return []trouble{
		{"clock step", (*soak).stepClock},
		{"slow network", toxic("latency", map[string]int{"latency": 300, "jitter": 200})},
		{"kill", func(s *soak) error { return s.replace((*process).kill) }},
		{"connections cut", toxic("limit_data", map[string]int{"bytes": 300})},
		{"suspension", func(s *soak) error {
			p := s.processes()[0]
			p.pause()
			time.Sleep(troubleTime)
			p.resume()
			return nil
		}},
		{"connections reset", toxic("reset_peer", map[string]int{"timeout": 20})},
		{"end and start", func(s *soak) error { return s.replace(func(p *process) { p.terminate() }) }},
		{"key rotation", (*soak).rotate},
		{"backup and restore", (*soak).tryBackup},
		{"no network", toxic("timeout", map[string]int{"timeout": 0})},
	}
}

// replace puts a new process in the place of the second replica, which end ends.
func (s *soak) replace(end func(*process)) error {
	old := s.processes()[1]
	s.events.begin(gone, old) // and stays so
	end(old)
	p := s.w.start()
	s.reached.Store(p, time.Now()) // its circuit is closed
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas[1] = p
	return nil
}

// rotate seals every record under a new key, as the command does. Like an operator, it continues a rotation that a store in trouble
// interrupts.
func (s *soak) rotate() (err error) {
	const tries = 3
	for range tries {
		if err = s.rotateOnce(); err == nil {
			return s.w.core.Keyring.EndRotation()
		}
		s.count("key rotation: " + err.Error())
	}
	return err
}

// rotateOnce begins a rotation, or continues one. It may take as long as there are accounts, but must go on: no record takes longer than
// anything takes that works.
func (s *soak) rotateOnce() error {
	ctx, cancel := context.WithCancelCause(s.t.Context())
	defer cancel(nil)
	hangs := time.AfterFunc(testTimeout, func() { cancel(fmt.Errorf("no record was sealed for %v", testTimeout)) })
	defer hangs.Stop()
	key, err := seal.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	keyring := s.w.core.Keyring
	id, err := keyring.BeginRotation(key)
	if err == nil && id != keyring.Current() {
		err = keyring.Promote(id)
	}
	if err == nil {
		err = keyring.Agree(ctx, s.w.core.Store)
	}
	if err == nil {
		err = seal.Rotation{
			Rows: s.w.core.Store, Store: s.w.core.Store, Keyring: keyring, Caller: "test",
			Progress: func(seal.Progress) { hangs.Reset(testTimeout) },
		}.Run(ctx)
	}
	return errors.Join(err, context.Cause(ctx))
}

// steps are how far a clock that steps is ahead of the machine's.
var steps = []time.Duration{time.Minute, -time.Minute, time.Hour, -time.Hour, 5 * time.Second, 0}

// stepClock steps the clock of the store. It goes on from there until the next step.
func (s *soak) stepClock() error { return s.store.step(s, steps[mathrand.IntN(len(steps))]) }

// tryBackup makes a store of a backup while the service runs, and wants every account to be in it.
func (s *soak) tryBackup() error {
	s.mu.Lock()
	want := len(s.accounts) + len(s.added)
	s.mu.Unlock()
	restored, err := s.store.restore(s, false)
	if err != nil {
		return err
	}
	core, err := app.OpenCore(s.t.Context(), s.w.configOf(s.w.with(restored)), false, app.Observers{})
	if err != nil {
		return err
	}
	found, err := core.CountDoubt(s.t.Context())
	if found < want {
		err = errors.Join(err, fmt.Errorf("a restored backup has %d devices in doubt, want %d", found, want))
	}
	return errors.Join(err, core.Close())
}

// restore ends the service, makes a store of a backup, and lets the service go on with that: no step is lost, and every device is in doubt.
func (s *soak) restore() {
	for _, p := range s.processes() {
		p.terminate()
	}
	restored, err := s.store.restore(s, true)
	if s.w.core != nil {
		err = errors.Join(err, s.w.core.Close())
	}
	s.w.core = nil
	if err != nil {
		s.t.Fatal(err)
	}
	maps.Copy(s.w.settings, restored)
	if s.w.core, err = app.OpenCore(s.t.Context(), s.w.configOf(s.w.settings), false, app.Observers{}); err != nil {
		s.t.Fatal(err)
	}
	s.replicas = s.w.starts(2)
}

// toxic returns what spoils the network to inWebo for a while.
func toxic(kind string, attributes map[string]int) func(*soak) error {
	return func(s *soak) error {
		text, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": "downstream", "attributes": attributes})
		if err == nil {
			_, err = s.network.Toxics.AddToxicJson(strings.NewReader(string(text)))
		}
		if err != nil {
			return err
		}
		time.Sleep(troubleTime)
		return s.network.Toxics.RemoveToxic(s.t.Context(), kind)
	}
}

// newNetwork returns a proxy to the host of a URL, and the URL through it.
func newNetwork(t *testing.T, url string) (network *toxiproxy.Proxy, through string) {
	t.Helper()
	host := strings.TrimPrefix(url, "http://")
	path := ""
	if i := strings.IndexByte(host, '/'); i >= 0 {
		host, path = host[:i], host[i:]
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	network = toxiproxy.NewProxy(server, "inwebo", "127.0.0.1:0", host)
	if err := network.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Stop)
	return network, "http://" + network.Listen + path
}
