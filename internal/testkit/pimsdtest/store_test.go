package pimsdtest_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

func database(d *pimsdtest.Daemon) string { return filepath.Join(d.Config.DataDir, sqlite.FileName) }

// lockStore keeps everybody else from writing, as another program does that has a transaction open.
func lockStore(t *testing.T, d *pimsdtest.Daemon) (unlock func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	db, err := sql.Open("sqlite", database(d))
	if err != nil {
		t.Error(err)
		return func() {}
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Error(err)
	}
	unlock = sync.OnceFunc(func() {
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
		_ = db.Close()
	})
	t.Cleanup(unlock)
	return unlock
}

// lockAtAnswer locks the store when the next finalize of inWebo is processed, and before its answer leaves.
func lockAtAnswer(t *testing.T, a *pimsdtest.Account) (unlock func()) {
	t.Helper()
	reached, release := a.Daemon.Pause(pimsdtest.ActionFinalize)
	unlocks := make(chan func(), 1)
	go func() {
		<-reached
		unlocks <- lockStore(t, a.Daemon)
		release()
	}()
	return func() { (<-unlocks)() }
}

// shortDeadline lets a caller wait for the store no longer than a moment.
func shortDeadline(s *pimsdtest.Setup) {
	s.Config.Inwebo.ExchangeTimeout, s.Config.Conversation.Deadline = time.Second, 4*time.Second
}

// storeCauses are a store that fails for real.
func storeCauses() []cause {
	return []cause{
		{
			name: "the store fails after a good answer", code: 2316, status: 502, stays: true, unaudited: true, alone: shortDeadline,
			before: func(t *testing.T, a *pimsdtest.Account) { lockAtAnswer(t, a) },
		},
		{
			name: "the store fails before inWebo is asked", code: 2000, status: 500, stays: true, unaudited: true, alone: asIs,
			before: func(t *testing.T, a *pimsdtest.Account) { moveStoreAway(t, a.Daemon) },
		},
	}
}

// moveStoreAway takes the database from under the daemon. Only a restart can heal that.
func moveStoreAway(t *testing.T, d *pimsdtest.Daemon) (back func()) {
	t.Helper()
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Error(err)
		}
	}
	aside := database(d) + ".aside"
	move(database(d), aside)
	back = sync.OnceFunc(func() { move(aside, database(d)) })
	t.Cleanup(back)
	return back
}

// What inWebo has answered is stored as soon as the store takes it, though its caller has long been told 2316.
func TestAnAnswerOutlivesAStoreThatFails(t *testing.T) {
	t.Parallel()
	a := enrolled(t, shortDeadline)
	unlock := lockAtAnswer(t, a)
	if got := a.OTP(aPIN); got.Code != 2316 {
		t.Errorf("%s", got.Body)
	}
	until(t, "the store has failed twice", func() bool {
		return a.Daemon.Metrics()[`pimsd_commits_total{outcome="failed",write="settle"}`] >= 2
	})
	if n := a.Daemon.Metrics()["pimsd_settles_retrying"]; n != 1 {
		t.Errorf("%v settles are retrying", n)
	}
	unlock()
	wantOTP(t, a)
	if expected := a.Expected(); expected.WrongProofs != 0 || expected.Step != 2 {
		t.Errorf("inWebo has seen %+v", expected.Counters)
	}
	if n := a.Daemon.InDoubt(); n != 0 {
		t.Errorf("%v devices in doubt", n)
	}
}

// What inWebo has answered while the store was away is stored when that is back, without a restart. Nothing new is begun on it
// before that.
func TestAnswerOutlivesStoreThatIsMovedAway(t *testing.T) {
	t.Parallel()
	a := enrolled(t, shortDeadline)
	reached, release := a.Daemon.Pause(pimsdtest.ActionFinalize)
	moved := make(chan func(), 1)
	go func() {
		<-reached
		moved <- moveStoreAway(t, a.Daemon)
		release()
	}()
	if got := a.OTP(aPIN); got.Code != 2316 {
		t.Errorf("%s", got.Body)
	}
	back := <-moved
	back()
	until(t, "the answer is stored", func() bool { return a.Daemon.Metrics()["pimsd_settles_retrying"] == 0 })
	if got := a.OTP(aPIN); got.Code != 2000 {
		t.Errorf("a call on a store that was away: %s", got.Body)
	}
	a.Daemon.Restart()
	wantOTP(t, a)
	if expected := a.Expected(); expected.WrongProofs != 0 || expected.Step != 2 {
		t.Errorf("inWebo has seen %+v", expected.Counters)
	}
}

// A daemon that is told to stop meanwhile stores the answer before it ends.
func TestAnAnswerOutlivesTheDaemonToo(t *testing.T) {
	t.Parallel()
	a := enrolled(t, shortDeadline)
	unlock := lockAtAnswer(t, a)
	if got := a.OTP(aPIN); got.Code != 2316 {
		t.Errorf("%s", got.Body)
	}
	a.Daemon.Interrupt()
	drained(t, a.Daemon)
	unlock()
	a.Daemon.Restart()
	if n := a.Daemon.InDoubt(); n != 0 {
		t.Errorf("%v devices in doubt", n)
	}
	wantOTP(t, a)
}

// A daemon that cannot wait any longer for its store ends, and names the account whose outcome it gave up.
func TestAnAnswerThatIsGivenUpIsNamed(t *testing.T) {
	t.Parallel()
	a := enrolled(t, shortDeadline, func(s *pimsdtest.Setup) { s.Config.Stop.SettleAllowance = 0 })
	unlock := lockAtAnswer(t, a)
	if got := a.OTP(aPIN); got.Code != 2316 {
		t.Errorf("%s", got.Body)
	}
	a.Daemon.Stop()
	unlock()
	wantGivenUp(t, a)
}

func wantGivenUp(t *testing.T, a *pimsdtest.Account) {
	t.Helper()
	said := slices.ContainsFunc(strings.Split(a.Daemon.Log(), "\n"), func(line string) bool {
		return strings.Contains(line, "gave up") && strings.Contains(line, fmt.Sprintf(`"account":%q`, a.Name))
	})
	if !said {
		t.Errorf("the log does not name the account that was given up:\n%s", a.Daemon.Log())
	}
}

// The store fails and inWebo is not asked; the operators see it, and a restart heals it.
func TestAStoreThatFailsBeforeInweboIsAsked(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	back := moveStoreAway(t, a.Daemon)
	asked := len(a.Daemon.Inwebo.History(anything))
	for range 3 {
		if got := a.OTP(aPIN); got.Code != 2000 || got.Status != 500 {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	if now := len(a.Daemon.Inwebo.History(anything)); now != asked {
		t.Errorf("inWebo was asked %d times", now-asked)
	}
	if status, text := a.Daemon.Ops("/readyz?verbose"); status != http.StatusServiceUnavailable || !strings.Contains(text, "store: failed") {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
	back()
	a.Daemon.Restart()
	wantOTP(t, a)
}

// A write whose outcome is unknown costs the caller an answer, and nothing else.
func TestAHoldThatIsNotStoredInTime(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Config.Quota.OTPsPerDay = 1 })
	unlock := lockStore(t, a.Daemon)
	asked := len(a.Daemon.Inwebo.History(anything))
	if got := a.OTP(aPIN); got.Code != 2000 || got.Status != 500 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if now := len(a.Daemon.Inwebo.History(anything)); now != asked {
		t.Errorf("inWebo was asked %d times", now-asked)
	}
	unlock()
	wantOTP(t, a)
}
