package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// errKilled is the error of every write after the moment at which a process is killed.
var errKilled = errors.New("killed")

// killedStore does some writes, as many as both stores of a process have left, and no later one. The caller is not told that the last
// one is done.
type killedStore struct {
	*postgres.Store
	left *int
}

func (s killedStore) write(do func() error) error {
	*s.left--
	if *s.left > 0 {
		return do()
	}
	if *s.left == 0 {
		return errors.Join(do(), errKilled)
	}
	return fmt.Errorf("%w: %w", otp.ErrNotApplied, errKilled)
}

func (s killedStore) Replace(ctx context.Context, w otp.Write) error {
	return s.write(func() error { return s.Store.Replace(ctx, w) })
}

func (s killedStore) AddKey(ctx context.Context, key authn.Key) error {
	return s.write(func() error { return s.Store.AddKey(ctx, key) })
}

func (s killedStore) AddAccount(ctx context.Context, c postgres.AccountContents, entry otp.AuditEntry) error {
	return s.write(func() error { return s.Store.AddAccount(ctx, c, entry) })
}

// transferring is two databases, the first with accounts.
type transferring struct {
	server   *pgtest.Server
	from, to *postgres.Store
	origin   *otp.Service // of the first
	limits   otp.Limits
	fromURL  secret.Text
}

const movedPrefix = "team-"

func movedAccounts() []otp.Account { return []otp.Account{movedPrefix + "1", movedPrefix + "2"} }

func newTransferring(t *testing.T, server *pgtest.Server) *transferring {
	t.Helper()
	var urls []secret.Text
	open := func() *postgres.Store {
		urls = append(urls, server.Database(t))
		store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: urls[len(urls)-1]})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	keyring, err := seal.FromText("test", secret.NewText(base64.StdEncoding.EncodeToString(make([]byte, 32))))
	if err != nil {
		t.Fatal(err)
	}
	m := &transferring{server: server, from: open(), to: open(), limits: limits(config.Default())}
	m.fromURL = urls[0]
	m.origin = otp.New(seal.New(m.from, keyring), nil, m.limits, nil)
	for i, account := range append(movedAccounts(), "team", "teams") {
		device := otp.ForeignDevice{
			Serial: ratchet.Serial(fmt.Sprint("serial", i)), Identity: inwebo.Identity{ID: fmt.Sprint("id", i)},
			Services: []inwebo.Service{{ID: "1"}},
			State: ratchet.State{
				Keys:   ratchet.Keys{K0: secret.NewText(strings.Repeat("0", 32)), K1: secret.NewText(strings.Repeat("1", 32))},
				Secret: secret.NewBytes(make([]byte, 16)),
			},
		}
		ask := otp.Request{Account: account, Caller: "test"}
		must(t, m.origin.Import(t.Context(), ask, device))
		must(t, m.origin.CountActivations(t.Context(), ask, i))
	}
	for _, grant := range []authn.Grant{
		{Account: movedPrefix + "1"}, {Backend: true, Prefix: movedPrefix}, {Backend: true}, {Account: "teams"},
	} {
		key, _, err := authn.NewKey(grant, time.Now(), time.Time{})
		must(t, err)
		must(t, m.from.AddKey(t.Context(), key))
	}
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *transferring) disable(t *testing.T) {
	t.Helper()
	for _, account := range movedAccounts() {
		must(t, m.origin.Disable(t.Context(), otp.Request{Account: account, Caller: "test"}))
	}
}

// check fails the test when an account is usable in both databases, or its device is in neither of them. When the transfer is done, the
// devices are in the target alone, enabled, and nothing else is there.
func (m *transferring) check(t *testing.T, done bool) {
	t.Helper()
	for n, account := range movedAccounts() {
		service := otp.New(seal.NewUnopened(m.to), nil, m.limits, nil)
		here, err := m.origin.Status(t.Context(), account)
		must(t, err)
		there, err := service.Status(t.Context(), account)
		must(t, err)
		usable := func(s otp.Status) bool { return s.Activated && !s.Disabled }
		if usable(here) && (there.Activated || usable(there)) || usable(there) && here.Activated || !here.Activated && !there.Activated {
			t.Fatalf("account %q is %+v here and %+v there", account, here, there)
		}
		if done && (here.Activated || !usable(there) || !there.InDoubt || there.Activations != n) {
			t.Fatalf("after the transfer, account %q is %+v here and %+v there", account, here, there)
		}
	}
	if !done {
		return
	}
	rows, err := m.to.List(t.Context(), "", 10)
	must(t, err)
	keys, err := m.to.ListKeys(t.Context())
	must(t, err)
	if len(rows) != 2 || len(keys) != 2 {
		t.Fatalf("the other database has %d accounts and %d keys", len(rows), len(keys))
	}
}

func TestTransfer(t *testing.T) {
	server := pgtest.New(t)
	for name, test := range map[string]func(*testing.T, *pgtest.Server){
		"killed at each write": killTransferAtEachWrite, "refusals": refuseTransfers, "into itself": transferIntoItself,
		"an older schema": refuseOlderSchema, "unusual accounts": transferUnusual,
		"into a new database and back": transferBack,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

// A transfer that is killed at any write goes on when it is repeated. At no moment is a device usable in both databases, or lost.
func killTransferAtEachWrite(t *testing.T, server *pgtest.Server) {
	t.Helper()
	ask := Transfer{Prefix: movedPrefix, Enable: true, Caller: "test"}
	const all = 2 + 3*2 // the API keys; and to copy, to forget and to enable each account
	for writes := 1; writes <= all+1; writes++ {
		m := newTransferring(t, server)
		m.disable(t)
		left := writes
		_, err := newTransfer(killedStore{m.from, &left}, killedStore{m.to, &left}, m.limits, ask).run(t.Context())
		if killed := writes <= all; errors.Is(err, errKilled) != killed || err != nil && !killed {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		m.check(t, writes > all)
		if _, err := newTransfer(m.from, m.to, m.limits, ask).run(t.Context()); err != nil {
			t.Fatalf("repeated after %d writes: %v", writes, err)
		}
		m.check(t, true)
		must(t, errors.Join(m.from.Close(), m.to.Close()))
	}
}

func refuseTransfers(t *testing.T, server *pgtest.Server) {
	t.Helper()
	m := newTransferring(t, server)
	ask := Transfer{Prefix: movedPrefix, Caller: "test"}
	run := func() error {
		_, err := newTransfer(m.from, m.to, m.limits, ask).run(t.Context())
		return err
	}
	if err := run(); err == nil || !strings.Contains(err.Error(), `2 of 2 accounts must be disabled first, and nothing was transferred`) {
		t.Errorf("accounts in use: %v", err)
	}
	if _, err := newTransfer(m.from, m.to, m.limits, Transfer{Prefix: "none"}).run(t.Context()); err == nil ||
		!strings.Contains(err.Error(), `no account has a name that begins with "none"`) {
		t.Errorf("a prefix of no account: %v", err)
	}
	m.disable(t)
	// An account that has moved on here since it was copied keeps its device here.
	left := 3 // both keys and the first account are copied
	_, err := newTransfer(killedStore{m.from, &left}, killedStore{m.to, &left}, m.limits, ask).run(t.Context())
	if !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	first := otp.Request{Account: movedAccounts()[0], Caller: "test"}
	must(t, m.origin.Enable(t.Context(), first))
	must(t, m.origin.Disable(t.Context(), first))
	if err := run(); err == nil || !strings.Contains(err.Error(), "has another record of it") {
		t.Errorf("an account that was used since it was copied: %v", err)
	}
	if status, err := m.origin.Status(t.Context(), movedAccounts()[1]); err != nil || status.Activated {
		t.Errorf("the account behind it is not transferred: %+v, %v", status, err)
	}
	if status, err := m.origin.Status(t.Context(), first.Account); err != nil || !status.Activated {
		t.Errorf("its device is gone: %+v, %v", status, err)
	}
	must(t, m.to.RecordSealingKey(t.Context(), "another"))
	if err := run(); !errors.Is(err, errOtherKeys) {
		t.Errorf("another sealing key: %v", err)
	}
}

// A target that no service has used yet gets the name of the sealing key, so that accounts can be transferred back from it.
func transferBack(t *testing.T, server *pgtest.Server) {
	t.Helper()
	m := newTransferring(t, server)
	m.disable(t)
	usage, err := seal.Count(t.Context(), m.from)
	must(t, err)
	must(t, m.from.RecordSealingKey(t.Context(), string(usage.Keys()[0])))
	ask := Transfer{Prefix: movedPrefix, Caller: "test"}
	_, err = newTransfer(m.from, m.to, m.limits, ask).run(t.Context())
	must(t, err)
	if name, err := m.to.SealingKey(t.Context()); err != nil || name != string(usage.Keys()[0]) {
		t.Errorf("the target is sealed under %q, %v", name, err)
	}
	deleted := "DELETE FROM device WHERE starts_with(account, '" + movedPrefix + "') AND disabled AND NOT active" // of docs/operations.md
	server.Exec(t, m.fromURL.Reveal(), deleted)
	_, err = newTransfer(m.to, m.from, m.limits, ask).run(t.Context())
	must(t, err)
	for _, account := range movedAccounts() {
		if status, err := m.origin.Status(t.Context(), account); err != nil || !status.Activated || !status.Disabled {
			t.Errorf("back again, %q is %+v, %v", account, status, err)
		}
	}
	must(t, errors.Join(m.from.Close(), m.to.Close()))
}

// The database that the accounts are in already is no other one, whatever URL names it.
func transferIntoItself(t *testing.T, server *pgtest.Server) {
	t.Helper()
	database := server.Database(t)
	store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: database})
	must(t, err)
	core := &Core{Store: store}
	again := secret.NewText(strings.Replace(database.Reveal(), "127.0.0.1", "localhost", 1))
	ask := Transfer{URL: again, Prefix: movedPrefix}
	if _, err := core.TransferPrefix(t.Context(), config.Default(), ask); !errors.Is(err, errSameDatabase) {
		t.Errorf("it says %v", err)
	}
	must(t, store.Close())
}

// A database whose service is of an older version is not migrated under it.
func refuseOlderSchema(t *testing.T, server *pgtest.Server) {
	t.Helper()
	store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: server.Database(t)})
	must(t, err)
	older := server.Database(t)
	to, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: older})
	must(t, err)
	must(t, to.Close())
	server.Exec(t, older.Reveal(), "UPDATE pimsd_schema SET version = version - 1")
	ask := Transfer{URL: older, Prefix: movedPrefix}
	if _, err := (&Core{Store: store}).TransferPrefix(t.Context(), config.Default(), ask); !errors.Is(err, otp.ErrOldSchema) {
		t.Errorf("it says %v", err)
	}
	must(t, store.Close())
}

// An account is not transferred while the other database may lack the key of its secrets. One whose device is not claimed is transferred
// like the others. One that was disabled after its transfer stays so when that is repeated.
func transferUnusual(t *testing.T, server *pgtest.Server) {
	t.Helper()
	m := newTransferring(t, server)
	m.disable(t)
	run := func() error {
		_, err := newTransfer(m.from, m.to, m.limits, Transfer{Prefix: movedPrefix, Enable: true, Caller: "test"}).run(t.Context())
		return err
	}
	record := func(key string) {
		must(t, errors.Join(m.from.RecordSealingKey(t.Context(), key), m.to.RecordSealingKey(t.Context(), key)))
	}
	record("newer")
	if err := run(); !errors.Is(err, errOlderKeys) {
		t.Errorf("another sealing key: %v", err)
	}
	usage, err := seal.Count(t.Context(), m.from)
	must(t, err)
	record(string(usage.Keys()[0]))
	server.Exec(t, m.fromURL.Reveal(), "UPDATE device SET active = false WHERE account = '"+string(movedAccounts()[0])+"'")
	must(t, run())
	m.check(t, true)

	ask := otp.Request{Account: movedAccounts()[0], Caller: "test"}
	there := otp.New(seal.NewUnopened(m.to), nil, m.limits, nil)
	must(t, there.Disable(t.Context(), ask))
	must(t, run())
	if status, err := there.Status(t.Context(), ask.Account); err != nil || !status.Disabled {
		t.Errorf("an account that was disabled after its transfer is %+v (%v)", status, err)
	}
	must(t, errors.Join(m.from.Close(), m.to.Close()))
}
