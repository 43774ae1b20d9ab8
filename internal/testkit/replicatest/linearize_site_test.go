package replicatest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// site is an inWebo and two replicas on one database, for many accounts.
type site struct {
	t        *testing.T
	inwebo   *inwebosim.Simulator
	database secret.Text
	replicas [2]replica

	successes map[verb]int // of all histories
}

// replica is the part of a pimsd that answers callers.
type replica struct {
	service *otp.Service
	keys    *authn.Keys
	store   *postgres.Store
}

// newSite makes a site whose second replica reads as plant says.
func newSite(t *testing.T, plant plant) *site {
	t.Helper()
	knobs := inwebosim.DefaultKnobs()
	knobs.Ratchet, knobs.OTPLife = inwebosim.RatchetNone, inwebosim.Duration(time.Hour)
	simulator := testkit.StartInwebo(t, inwebosim.Options{Knobs: knobs, Accounts: []inwebosim.Account{}, HistoryLimit: -1})
	s := &site{t: t, inwebo: simulator, database: database.Database(t), successes: map[verb]int{}}
	address, err := url.Parse(simulator.ProtocolURL())
	must(t, err)
	for i := range s.replicas {
		store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: s.database})
		must(t, err)
		client := inwebo.New(inwebo.Config{
			BaseURL: address, Path: "/iwws/MAC", MacID: "bb8e981582b0f31353108fb020bead1c", Version: "Generator-1.0/0.2.11",
			UserAgent: "test", DeviceName: "test", Language: "fr", ExchangeTimeout: time.Minute, DialTimeout: time.Minute,
		})
		reads := planted{Store: store}
		if i == 1 {
			reads.plant = plant
		}
		r := replica{store: store, service: otp.New(&reads, lossy{client}, limits(), nil), keys: authn.NewKeys(&reads, time.Now)}
		s.replicas[i] = r
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			r.service.Drain(ctx)
			client.Close()
			must(t, store.Close())
		})
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// limits have neither a quota nor a circuit, and times that end with no history.
func limits() otp.Limits {
	return otp.Limits{
		Deadline: 5 * time.Minute, FinalizeTimeout: time.Minute, QueueWait: time.Minute, StoreTimeout: 5 * time.Second,
		Guard: otp.GuardLimits{Attempts: attempts, Unanswered: time.Hour}, SetupRepeats: 100, ResponseLifetime: time.Hour,
	}
}

// endSessions ends random sessions of the replicas until ended is closed, with what they are doing.
func (s *site) endSessions(ended <-chan struct{}) {
	for {
		database.Exec(s.t, s.database.Reveal(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
			"WHERE datname = current_database() AND application_name = 'pimsd' AND random() < 0.2")
		select {
		case <-ended:
			return
		case <-time.After(rand.N(200 * time.Millisecond)):
		}
	}
}

// lossy is an inWebo of which some requests for OTPs, or their answers, are lost.
type lossy struct{ otp.Inwebo }

// OTPFinalize is as otp.Inwebo says.
func (l lossy) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, proofs ratchet.Proofs) (inwebo.OTPFinalize, error) {
	switch rand.N(20) {
	case 0:
		return inwebo.OTPFinalize{}, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrNetwork)
	case 1:
		_, _ = l.Inwebo.OTPFinalize(ctx, who, sid, proofs) // the answer is lost
		return inwebo.OTPFinalize{}, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrNetwork)
	default:
		return l.Inwebo.OTPFinalize(ctx, who, sid, proofs)
	}
}

// plant is a fault of a replica's reads.
type plant string

const (
	nothingPlanted  plant = ""
	staleStatus     plant = "status"
	staleRefusals   plant = "refusals of a PIN after an unlock"
	staleKeys       plant = "revoked keys"
	staleVersions   plant = "the version of the keys"
	forgetResponses plant = "replays"
)

// planted is a store that reads as a cache would, or loses what is stored of repeated calls.
type planted struct {
	*postgres.Store
	plant plant

	rows      cache[otp.Row]
	snapshots cache[otp.Snapshot]
	keys      cache[authn.Key]
	versions  cache[otp.KeysVersion]
}

// Fetch is as otp.Store says, but for a planted fault.
func (p *planted) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, now, err := p.Store.Fetch(ctx, account)
	if p.plant == staleStatus && err == nil {
		row = p.rows.first(string(account), row)
	}
	return row, now, err
}

// Update is as otp.Store says, but for a planted fault.
func (p *planted) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	switch p.plant {
	case forgetResponses:
		return p.Store.Update(ctx, account, key, func(s otp.Snapshot) otp.Decision {
			s.Response = nil
			return decide(s)
		})
	case staleVersions:
		return p.Store.Update(ctx, account, key, func(s otp.Snapshot) otp.Decision {
			s.KeysVersion = p.versions.first(string(account), s.KeysVersion)
			return decide(s)
		})
	case staleRefusals:
		if found, err := storetest.Snapshot(ctx, p.Store, account, key); err == nil {
			if d := decide(p.snapshots.first(string(account)+key, found)); d.Write == nil {
				return d, nil
			}
		}
	default:
	}
	return p.Store.Update(ctx, account, key, decide)
}

// KeyByID is as authn.KeyStore says, but for a planted fault.
func (p *planted) KeyByID(ctx context.Context, id string) (authn.Key, authn.Version, error) {
	key, version, err := p.Store.KeyByID(ctx, id)
	if p.plant == staleKeys && err == nil {
		key = p.keys.first(id, key)
	}
	return key, version, err
}

// cache returns what it was given first under a name, for a moment.
type cache[T any] struct {
	mu      sync.Mutex
	entries map[string]entry[T]
}

type entry[T any] struct {
	value T
	since time.Time
}

const cacheLife = 50 * time.Millisecond

func (c *cache[T]) first(name string, value T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[name]; ok && time.Since(old.since) < cacheLife {
		return old.value
	}
	if c.entries == nil {
		c.entries = map[string]entry[T]{}
	}
	c.entries[name] = entry[T]{value, time.Now()}
	return value
}
