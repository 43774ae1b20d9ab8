package replicatest_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// troubleTime is how long a trouble that ends by itself goes on.
const troubleTime = 2 * time.Second

// everyStoresTroubles are those that do not depend on the store. The first replica is suspended at most.
func everyStoresTroubles() []trouble {
	return []trouble{
		{"slow network", toxic("latency", map[string]int{"latency": 300, "jitter": 200})},
		{"kill", func(s *soak) { s.replace((*process).kill) }},
		{"connections cut", toxic("limit_data", map[string]int{"bytes": 300})},
		{"suspension", func(s *soak) {
			p := s.processes()[0]
			p.pause()
			time.Sleep(troubleTime)
			p.resume()
		}},
		{"connections reset", toxic("reset_peer", map[string]int{"timeout": 20})},
		{"end and start", func(s *soak) { s.replace(func(p *process) { p.terminate() }) }},
		{"no network", toxic("timeout", map[string]int{"timeout": 0})},
	}
}

// replace puts a new process in the place of the second replica, which end ends.
func (s *soak) replace(end func(*process)) {
	old := s.processes()[1]
	s.disturb(old)
	end(old)
	p := s.w.start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas[1] = p
}

// disturb notes that callers of the process may get no answer from now on.
func (s *soak) disturb(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disturbed[p] = true
}

// rotate seals every record under a new key, as the command does.
func (s *soak) rotate() {
	key, err := seal.NewKey(rand.Reader)
	if err != nil {
		s.t.Error(err)
		return
	}
	keyring := s.w.core.Keyring
	id, err := keyring.BeginRotation(key)
	if err == nil && id != keyring.Current() {
		err = keyring.Promote(id)
	}
	if err == nil {
		err = keyring.Agree(s.t.Context(), s.w.core.Store)
	}
	if err == nil {
		err = seal.Rotation{Rows: s.w.core.Store, Store: s.w.core.Store, Keyring: keyring, Caller: "test"}.Run(s.t.Context())
	}
	if err = errors.Join(err, keyring.EndRotation()); err != nil {
		s.t.Errorf("rotate: %v", err)
	}
}

// restore backs the store up when all callers have ended, and puts the backup in its place: no step is lost, and every device is in doubt.
func (s *soak) restore() {
	for _, p := range s.processes() {
		p.terminate()
	}
	backup := filepath.Join(s.t.TempDir(), "backup.db")
	store, _ := s.w.core.Store.(*sqlite.Store)
	if err := errors.Join(store.Backup(s.t.Context(), backup, nil), s.w.core.Close()); err != nil {
		s.t.Fatal(err)
	}
	s.w.core = nil
	c, err := config.Load(config.Input{Environ: s.w.settings.environ(), ReadFile: os.ReadFile})
	if err != nil {
		s.t.Fatal(err)
	}
	restore, err := app.PrepareRestore(s.t.Context(), c, backup, "test")
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err = restore.Install(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	if err := restore.Close(); err != nil {
		s.t.Error(err)
	}
	if s.w.core, err = app.OpenCore(s.t.Context(), c, false, app.Observers{}); err != nil {
		s.t.Fatal(err)
	}
	s.replicas = s.w.starts(2)
}

// toxic returns what spoils the network to inWebo for a while.
func toxic(kind string, attributes map[string]int) func(*soak) {
	return func(s *soak) {
		text, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": "downstream", "attributes": attributes})
		if err == nil {
			_, err = s.network.Toxics.AddToxicJson(strings.NewReader(string(text)))
		}
		if err != nil {
			s.t.Error(err)
			return
		}
		time.Sleep(troubleTime)
		if err := s.network.Toxics.RemoveToxic(s.t.Context(), kind); err != nil {
			s.t.Error(err)
		}
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
