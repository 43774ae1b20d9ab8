package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A store whose connections are silent finds that out by itself, and goes on over new ones: no call waits for long, and
// none needs a caller that gives up.
func TestSilentConnections(t *testing.T) {
	for name, rest := range map[string]time.Duration{"in use": 0, "idle": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, url := pgtest.NewProxy(t, server.Database(t))
			store := open(t, url)
			for _, account := range accounts() {
				if err := store.Create(t.Context(), writeOf(account, 1)); err != nil {
					t.Fatal(err)
				}
			}
			useAllConnections(t, store)
			time.Sleep(rest) // the connections of a quiet night
			proxy.Silence()
			for what, call := range calls(store) {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					if tries := callUntilDone(t, call); rest > 0 && tries > 1 {
						t.Errorf("over connections that were idle it took %d tries", tries)
					}
				})
			}
		})
	}
}

// While no connection works, old or new, look-ups wait in large numbers, and an answer of inWebo is to be settled. It is
// stored soon after new connections work, whatever the look-ups do.
func TestASettleDoesNotWaitForLookups(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, server.Database(t))
	store := open(t, url)
	if err := store.Create(t.Context(), writeOf("a", 1)); err != nil {
		t.Fatal(err)
	}
	useAllConnections(t, store)
	proxy.SetBlackhole(true)
	proxy.Silence()
	ctx, cancel := context.WithCancel(t.Context())
	var lookups sync.WaitGroup
	defer lookups.Wait()
	defer cancel()
	for range 200 {
		lookups.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = store.KeyByID(ctx, "none")
			}
		})
	}
	if err := within(t, 10*time.Second, func(ctx context.Context) error { return store.Replace(ctx, writeOf("a", 2)) }); err == nil {
		t.Fatal("a write is stored over connections that are silent")
	}
	proxy.SetBlackhole(false)
	callUntilDone(t, func(ctx context.Context) error { return store.Replace(ctx, writeOf("a", 2)) })
}

// accounts are those that calls writes to.
func accounts() []otp.Account { return []otp.Account{"create", "replace", "fetch", "recall"} }

// calls are the calls of which a conversation consists, and some of those beside it.
func calls(store *postgres.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"lease":  func(ctx context.Context) error { return store.Replace(ctx, writeOf("replace", 2)) },
		"create": func(ctx context.Context) error { return store.Create(ctx, writeOf("new", 1)) },
		"settle": func(ctx context.Context) error {
			w := writeOf("recall", 2)
			w.Response = &otp.KeyedResponse{Key: strings.Repeat("a", 64), StoredResponse: otp.StoredResponse{Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("sealed"))}}
			return store.Replace(ctx, w)
		},
		"fetch": func(ctx context.Context) error {
			_, _, err := store.Fetch(ctx, "fetch")
			return err
		},
		"recall": func(ctx context.Context) error {
			_, err := storetest.Snapshot(ctx, store, "fetch", strings.Repeat("a", 64))
			return err
		},
		"spend": func(ctx context.Context) error { return store.DiscardResponse(ctx, "fetch", strings.Repeat("a", 64)) },
		"key": func(ctx context.Context) error {
			_, _, err := store.KeyByID(ctx, "none")
			return unless(err, authn.ErrNoKey)
		},
		"census": func(ctx context.Context) error {
			_, err := store.List(ctx, "", 500)
			return err
		},
		"audit": func(ctx context.Context) error {
			_, err := store.AuditAfter(ctx, 0, 500)
			return err
		},
		"readiness": store.Writable,
	}
}

func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// callUntilDone calls until it is done, as the domain does, and returns how often that was.
func callUntilDone(t *testing.T, call func(context.Context) error) (tries int) {
	t.Helper()
	const enough = 3
	for tries = 1; ; tries++ {
		began := time.Now()
		err := call(t.Context()) // without a deadline
		if err == nil {
			return tries
		}
		if tries == enough {
			t.Fatalf("after %d tries, the last of which took %v: %v", tries, time.Since(began).Round(time.Millisecond), err)
		}
	}
}

// useAllConnections has the store make and use all of its connections.
func useAllConnections(t *testing.T, store *postgres.Store) {
	t.Helper()
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			account := otp.Account(fmt.Sprint("in use ", n))
			_, _, err := store.KeyByID(t.Context(), "none")
			_, errList := store.ListKeys(t.Context())
			if err := errors.Join(unless(err, authn.ErrNoKey), errList, store.Create(t.Context(), writeOf(account, 1))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
