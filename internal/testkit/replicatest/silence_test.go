package replicatest_test

import (
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// The database's connections fall silent while a process has an answer of inWebo in hand, and many callers wait who never
// hang up; new connections work, as after a fail-over behind one name. The answer is stored, and everybody goes on.
func TestSilentDatabaseConnections(t *testing.T) {
	t.Parallel()
	w := newHarness(t, onPostgres(database)(t), nil, inwebosim.DefaultKnobs())
	accounts := w.enroll(32)
	inHand, others := accounts[0], accounts[1:]
	proxy, url := pgtest.NewProxy(t, secret.NewText(w.settings["DATABASE_URL"]))
	w.settings["DATABASE_URL"] = url.Reveal()
	p := w.start()
	together(len(accounts), func(_, item int) { w.wantOTP(p, accounts[item]) }) // so that there are many connections

	caught := w.catch(after, actionFinalize, inHand)
	var callers sync.WaitGroup
	callers.Go(func() {
		if a := w.ask(p, inHand); a.code != 2316 && !w.verifies(inHand, a) {
			t.Errorf("the caller whose answer was in hand got %v", a)
		}
	})
	<-caught.reached
	proxy.Silence()
	caught.release()
	for _, account := range others {
		callers.Go(func() {
			a := w.ask(p, account)
			for began := time.Now(); !w.verifies(account, a); a = w.ask(p, account) {
				if time.Since(began) > testTimeout {
					t.Errorf("%s: %v after %v", account, a, testTimeout)
					return
				}
			}
		})
	}
	callers.Wait()
	until(t, "the answer in hand is stored", func() bool {
		status := w.status(inHand)
		return status.Step == w.base+uint64(w.expected(inHand).Step) && !status.InDoubt
	})
	w.wantAllOn(p, accounts)
}
