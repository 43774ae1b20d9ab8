package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// Of the hosts in the URL, the one that takes writes is used, wherever it stands.
func TestSeveralHosts(t *testing.T) {
	primary := ownServer(t)
	database := primary.Database(t)
	open(t, database)
	standby := standbyOf(t, primary)
	for _, choice := range []string{"", "&target_session_attrs=any", "&target_session_attrs=primary", "&target_session_attrs=prefer-standby"} {
		store, err := postgres.Open(t.Context(), postgres.Options{URL: onHosts(t, database, choice, standby, primary)})
		if err != nil {
			t.Errorf("%q: %v", choice, err)
			continue
		}
		account := otp.Account("a" + choice)
		if err := errors.Join(store.Create(t.Context(), writeOf(account, 1)), store.Close()); err != nil {
			t.Errorf("%q: %v", choice, err)
		}
	}
	_, err := postgres.Open(t.Context(), postgres.Options{URL: onHosts(t, database, "", standby)})
	if err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("a standby alone: %v", err)
	}
	_, err = postgres.Open(t.Context(), postgres.Options{URL: onHosts(t, database, "&target_session_attrs=standby", standby, primary)})
	if err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("a standby alone is wanted: %v", err)
	}
}

// A server that takes no writes any more is left for one that does, without a restart.
func TestAServerThatIsDemoted(t *testing.T) {
	first, second := ownServer(t), pgtest.New(t)
	a, b := first.Database(t), second.Database(t)
	for _, database := range []secret.Text{a, b} {
		if err := open(t, database).Create(t.Context(), write(1)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := postgres.Open(t.Context(), postgres.Options{URL: onHosts(t, a, "", first, second)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	useAllConnections(t, store)
	set(t, first, "default_transaction_read_only = on") // which it takes up soon
	onSecond := open(t, b)
	refused := 0
	for n := 0; ; n++ {
		account := otp.Account(fmt.Sprint("new ", n))
		if err := store.Create(t.Context(), writeOf(account, 1)); err != nil {
			if refused++; refused > 1 || !errors.Is(err, otp.ErrNotApplied) {
				t.Fatalf("refusal %d: %v", refused, err)
			}
			continue
		}
		_, _, err := onSecond.Fetch(t.Context(), account)
		if err == nil {
			return
		}
		if refused > 0 || !errors.Is(err, otp.ErrNotFound) {
			t.Fatalf("after %d refusals the second server says %v", refused, err)
		}
	}
}

// onHosts is the URL of a database that all of the servers have.
func onHosts(t *testing.T, database secret.Text, more string, servers ...*pgtest.Server) secret.Text {
	t.Helper()
	u, err := url.Parse(database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, s := range servers {
		hosts = append(hosts, s.Host())
	}
	return secret.NewText("postgres://pimsd@" + strings.Join(hosts, ",") + u.Path + "?" + u.RawQuery + more)
}

// Whatever isolation level the server has as its default, writers of one record meet with conflicts, and with nothing else.
func TestIsolationLevelOfTheServer(t *testing.T) {
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			database := server.Database(t)
			name, _, _ := strings.Cut(path.Base(database.Reveal()), "?")
			server.Exec(t, server.URL("postgres"), "ALTER DATABASE "+name+" SET default_transaction_isolation = '"+level+"'")
			var writers sync.WaitGroup
			for replica := range 2 {
				store := open(t, database)
				for writer := range 4 {
					writers.Go(func() {
						for n := range 20 {
							if err := contend(t, store, fmt.Sprint(replica, writer, n)); err != nil {
								t.Error(err)
							}
						}
					})
				}
			}
			writers.Wait()
		})
	}
}

// contend writes the next revision of one account, and takes a conflict for success.
func contend(t *testing.T, store *postgres.Store, id string) error {
	t.Helper()
	row, _, err := store.Fetch(t.Context(), "a")
	w := write(row.Revision + 1)
	w.ID = id
	if errors.Is(err, otp.ErrNotFound) {
		return unless(store.Create(t.Context(), w), otp.ErrExists)
	}
	return errors.Join(err, unless(store.Replace(t.Context(), w), otp.ErrConflict))
}
