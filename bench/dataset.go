package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// The kinds of stores.
const (
	inSQLite             = "SQLite"
	inPostgres           = "PostgreSQL"
	inDistantPostgres    = "PostgreSQL, an answer of which takes 1 ms longer"
	inReplicatedPostgres = "PostgreSQL with a synchronous standby"
)

// dataset is a store full of devices that inWebo knows too.
type dataset struct {
	profile profile
	key     string   // a backend's API key
	environ []string // the settings of a pimsd on this store
	server  *server  // that has its database; nil for SQLite
	name    string   // of that database
}

// dataset returns the store of that kind with so many accounts, and fills it if it is the first to ask for it.
func (l *env) dataset(ctx context.Context, kind string, count int) (*dataset, error) {
	name := fmt.Sprintf("%s-%d", kind, count)
	if s := l.datasets[name]; s != nil {
		return s, nil
	}
	s := &dataset{profile: l.newProfile(count)}
	c := config.Default()
	c.DataDir = filepath.Join(l.scratch, name)
	s.environ = []string{
		"PIMSD_DATA_DIR=" + c.DataDir, "PIMSD_INWEBO_URL=" + l.inwebo.addresses.Protocol,
		"PIMSD_QUOTA_OTPS_PER_DAY=0", "PIMSD_LOAD_CALLER_RATE=1000000", // one key calls for all
	}
	if kind != inSQLite {
		if err := l.newDatabase(ctx, kind, c, s); err != nil {
			return nil, err
		}
	}
	l.log("filling %s with %d accounts", kind, count)
	if err := l.fill(ctx, c, s); err != nil {
		return nil, fmt.Errorf("fill %s: %w", kind, err)
	}
	if err := l.inwebo.plant(s.profile); err != nil {
		return nil, err
	}
	l.datasets[name] = s
	return s, nil
}

// newProfile returns a fleet that no other shares a name with.
func (l *env) newProfile(count int) profile {
	l.profiles++
	return profile{Name: fmt.Sprintf("%04x", l.profiles), Count: count, Of: l.model.device}
}

// newDatabase makes an empty database, and keys to seal it with.
func (l *env) newDatabase(ctx context.Context, kind string, c *config.Config, s *dataset) (err error) {
	if s.server, err = l.server(ctx, kind); err != nil {
		return err
	}
	s.name = "bench" + s.profile.Name
	if err := s.server.exec(ctx, "CREATE DATABASE "+s.name); err != nil {
		return err
	}
	drawn := make([]byte, 32)
	if _, err := rand.Read(drawn); err != nil {
		return err
	}
	keys := base64.StdEncoding.EncodeToString(drawn)
	c.Seal.Keys, c.DatabaseURL = secret.NewText(keys), secret.NewText(s.server.URL(s.name))
	s.environ = append(s.environ, "PIMSD_SEAL_KEYS="+keys, "PIMSD_DATABASE_URL="+s.server.address(s.name))
	return nil
}

// fill fills a new store with the fleet and a key, sealed as pimsd seals.
func (l *env) fill(ctx context.Context, c *config.Config, s *dataset) (err error) {
	core, err := app.OpenCore(ctx, c, true, app.Observers{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	key, text, err := authn.NewKey(authn.Grant{Backend: true}, time.Now(), time.Time{})
	if err != nil {
		return err
	}
	s.key = text.Reveal()
	filling := prefill{env: l, profile: s.profile, keyring: core.Keyring}
	if store, ok := core.Store.(*postgres.Store); ok {
		return store.Load(ctx, postgres.Contents{
			Rows: filling.rows(), Former: nothing[otp.Row](), Lines: nothing[otp.AuditRecord](), Keys: []authn.Key{key},
		})
	}
	return errors.Join(core.Store.AddKey(ctx, key), filling.create(ctx, core.Store))
}

func nothing[T any]() iter.Seq2[T, error] { return func(func(T, error) bool) {} }

// prefill is a store that is being filled.
type prefill struct {
	*env
	profile profile
	keyring *seal.Keyring
	done    atomic.Int64
}

// row is that of the account i, sealed.
func (f *prefill) row(i int) otp.Row {
	row := f.profile.row(f.model.row, i)
	row.Secrets = secret.NewBytes(f.keyring.Seal(seal.Secrets, row.Account, row.Secrets))
	if done := f.done.Add(1); done%100_000 == 0 {
		f.log("%d of %d accounts", done, f.profile.Count)
	}
	return row
}

// rows are all of them.
func (f *prefill) rows() iter.Seq2[otp.Row, error] {
	return func(yield func(otp.Row, error) bool) {
		for i := range f.profile.Count {
			if !yield(f.row(i), nil) {
				return
			}
		}
	}
}

// create stores them by many callers, whose writes share their commits.
func (f *prefill) create(ctx context.Context, store otp.Store) error {
	const callers = 512
	errs := make([]error, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := c; i < f.profile.Count && errs[c] == nil; i += callers {
				row := f.row(i)
				errs[c] = store.Create(ctx, otp.Write{ID: uuid.Must(uuid.NewV7()).String(), Row: row, Claim: &row.Claim, AuditEntry: otp.AuditEntry{
					At: time.Now(), Account: row.Account, Caller: "bench", Action: "enroll", Stage: otp.StageOutcome, Outcome: "done",
				}})
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
