package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// sealLine is the line of a key that the number tells from others.
func sealLine(n byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32)) + "\n"
}

func writeKeys(t *testing.T, path string, numbers ...byte) {
	t.Helper()
	text := ""
	for _, n := range numbers {
		text += sealLine(n)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replica is a process with a key file of its own on a store that it shares with others.
type replica struct {
	keyring *seal.Keyring
	watch   *keyringWatch
	path    string
}

func newReplica(ctx context.Context, t *testing.T, store *storetest.Memory, numbers ...byte) *replica {
	t.Helper()
	r := &replica{path: filepath.Join(t.TempDir(), seal.FileName)}
	writeKeys(t, r.path, numbers...)
	var err error
	if r.keyring, err = seal.OpenFile(r.path, false); err != nil {
		t.Fatal(err)
	}
	if err := r.keyring.Agree(ctx, store); err != nil {
		t.Fatal(err)
	}
	r.watch = &keyringWatch{keyring: r.keyring, store: store, logger: zap.NewNop(), recorded: r.keyring.Current(), asked: time.Now()}
	go r.watch.run(ctx)
	return r
}

// expectReady compares what readiness says after the time that a watch may take.
func expectReady(t *testing.T, when string, r *replica, want string) {
	t.Helper()
	time.Sleep(keyringStoreInterval + keyringInterval)
	synctest.Wait()
	err := r.watch.ready(t.Context())
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: readiness says %v, want %q", when, err, want)
	}
	if r.watch.usable() != (want == "") {
		t.Errorf("%s: usable is %v", when, r.watch.usable())
	}
}

// A replica that was not given the new key is not ready while others seal under it, and is again when it has it. One
// record whose key is missing changes nothing about that.
func TestReplicaWithoutTheNewKeyIsNotReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := storetest.NewMemory()
		write := func(account otp.Account, r *replica) {
			err := seal.New(store, r.keyring).Create(ctx, otp.Write{ID: string(account), Row: otp.Row{
				Account: account, Revision: 1, Body: []byte("{}"), Secrets: secret.NewBytes([]byte("x")),
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		one, two := newReplica(ctx, t, store, 1), newReplica(ctx, t, store, 1)
		write("a", one)
		expectReady(t, "with one key everywhere", one, "")
		writeKeys(t, one.path, 1, 2)
		expectReady(t, "the new key behind", one, "")
		writeKeys(t, one.path, 2, 1)
		expectReady(t, "the new key in front", one, "")
		write("b", one)
		expectReady(t, "without the new key", two, "which the key file "+two.path+" lacks")
		writeKeys(t, two.path, 1, 2)
		expectReady(t, "the new key behind, late", two, "")
		writeKeys(t, two.path, 2, 1)
		writeKeys(t, one.path, 2)
		expectReady(t, "without the old key, which a record needs", one, "")
		if _, _, err := seal.New(store, one.keyring).Fetch(ctx, "a"); !errors.Is(err, otp.ErrSealed) {
			t.Errorf("the record under the old key: %v", err)
		}
	})
}

// Each fault is logged once, and its end; a store that fails says nothing about keys.
func TestFaultsOfKeysAreLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		core, logged := observer.New(zap.InfoLevel)
		r := newReplica(ctx, t, storetest.NewMemory(), 1)
		cancel()
		synctest.Wait()
		r.watch.logger = zap.New(core)
		step := func(numbers ...byte) {
			writeKeys(t, r.path, numbers...)
			for range 15 {
				time.Sleep(time.Second)
				r.watch.check(t.Context())
			}
		}
		step(1)
		step(9)
		step(8)
		step(1)
		var got []string
		for _, entry := range logged.All() {
			got = append(got, entry.Level.String())
		}
		if want := "error info"; strings.Join(got, " ") != want {
			t.Errorf("logged is %q, want %q", got, want)
		}
	})
}
