package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// next decides to lease the row that it is given.
func next(found otp.Snapshot) otp.Decision {
	w := benchWrite(1, found.Row.Revision+1)
	return otp.Decision{Write: &w}
}

// Updates of one account that wait together are one transaction: each decides once, on the row that the one before has stored.
func TestUpdatesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, commits := observed(t)
		hold, reached, release := stuck()
		var all sync.WaitGroup
		all.Go(func() { _ = s.writer.change(t.Context(), hold) })
		<-reached
		const callers = 8
		decisions := 0 // in the writer's goroutine
		for range callers {
			all.Go(func() {
				_, err := s.Update(t.Context(), "account 1", "", func(found otp.Snapshot) otp.Decision {
					decisions++
					return next(found)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all wait
		close(release)
		all.Wait()
		if got := revision(t, s, "account 1"); got != callers || decisions != callers {
			t.Errorf("after %d decisions the account has revision %d, want %d", decisions, got, callers)
		}
		if got := (*commits)[len(*commits)-1]; got != (commit{callers, nil}) {
			t.Errorf("the last commit was %v, want one with %d writes", got, callers)
		}
	})
}

// An update of a caller that has left is not begun.
func TestUpdateOfCallerThatLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := observed(t)
		hold, reached, release := stuck()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = s.writer.change(t.Context(), hold) })
		<-reached
		all.Go(func() {
			_, err := s.Update(ctx, "account 1", "", func(otp.Snapshot) otp.Decision { panic("it is begun") })
			if !errors.Is(err, context.Canceled) || !errors.Is(err, otp.ErrNotApplied) {
				t.Errorf("the caller that left: %v", err)
			}
		})
		synctest.Wait() // it waits
		cancel()
		synctest.Wait() // it has left
		close(release)
		all.Wait()
	})
}

// Without a reserve, an update leases nothing, and still returns what is stored.
func TestUpdateWithoutReserve(t *testing.T) {
	t.Parallel()
	s, commits := observed(t)
	r := s.writer.reserve
	r.path = filepath.Join(t.TempDir(), "missing", ReserveName)
	r.missing.Store(true)
	if _, err := s.Update(t.Context(), "account 1", "", next); !errors.Is(err, errNoReserve) || !errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("a lease: %v", err)
	}
	before := len(*commits)
	err := s.writer.do(t.Context(), &job{Task: task{kind: lease, change: writing(benchWrite(1, 1))}})
	if !errors.Is(err, errNoReserve) || len(*commits) != before {
		t.Errorf("a lease that waits when the reserve goes: %v, after %d transactions", err, len(*commits)-before)
	}
	settled := withResponse(1)
	if err := s.Create(t.Context(), settled); err != nil {
		t.Fatal(err)
	}
	d, err := s.Update(t.Context(), "account 1", settled.Response.Key, func(found otp.Snapshot) otp.Decision {
		return otp.Decision{Result: string(found.Response.Answer.Reveal())}
	})
	if err != nil || d.Result != "response" {
		t.Errorf("the stored response: %v (%v)", d.Result, err)
	}
}

// A broken store decides on nothing, unless it was found to be the same as before: then it decides, and stores nothing.
func TestUpdateOfBrokenStore(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	writeRow(t, s, 1)
	s.health.breakBy(errors.New("a sync failed"))
	read := func(found otp.Snapshot) otp.Decision { return otp.Decision{Result: found.Row.Revision} }
	if d, err := s.Update(t.Context(), "account 1", "", read); !errors.Is(err, otp.ErrBroken) || d.Result != nil {
		t.Errorf("the decision is %v (%v)", d, err)
	}
	s.health.readable.Store(true)
	if d, err := s.Update(t.Context(), "account 1", "", read); err != nil || d.Result != uint64(1) {
		t.Errorf("where it can be read, the decision is %v (%v)", d, err)
	}
	if _, err := s.Update(t.Context(), "account 1", "", next); !errors.Is(err, otp.ErrBroken) || revision(t, s, "account 1") != 1 {
		t.Errorf("a lease: %v", err)
	}
}

// A caller that leaves while its decision is stored does not get it.
func TestDecisionOfCallerThatLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := observed(t)
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		onWriter(t, s, func(*conn) {
			s.writer.observe = func(int, time.Duration, error) {
				cancel()
				<-release
			}
		})
		if d, err := s.Update(ctx, "account 1", "", next); !errors.Is(err, context.Canceled) || d.Write != nil {
			t.Errorf("the decision is %+v (%v)", d, err)
		}
		close(release)
	})
}

// Where an update is decided again, because another job of its transaction has failed, the last decision says whether it returns early.
func TestOnlyTheLastDecisionReturnsEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := observed(t)
		hold, reached, release := stuck()
		var all sync.WaitGroup
		all.Go(func() { _ = s.writer.change(t.Context(), hold) })
		<-reached
		for caller, isEarly := range []bool{true, false} {
			runs := 0 // in the writer's goroutine
			all.Go(func() {
				d, err := s.Update(t.Context(), "", "", func(otp.Snapshot) otp.Decision {
					runs++
					w := benchWrite(caller, 1)
					return otp.Decision{Write: &w, Early: isEarly == (runs > 1)}
				})
				if err != nil || (d.Pending != nil) != isEarly {
					t.Errorf("the update of which the last of %d decisions says %t: pending %v, %v", runs, isEarly, d.Pending, err)
				}
			})
		}
		synctest.Wait() // they wait
		all.Go(func() {
			bad := func(target) (refusal, failure error) { return nil, errors.New("bad") }
			if err := s.writer.change(t.Context(), bad); !errors.Is(err, otp.ErrNotApplied) {
				t.Errorf("the job that fails: %v", err)
			}
		})
		synctest.Wait()
		close(release)
		all.Wait()
	})
}

// preparations counts what SQLite asks about while it prepares statements.
type preparations struct{ asked int }

func (p *preparations) Authorize(sqlite.Action) sqlite.AuthResult {
	p.asked++
	return sqlite.AuthResultOK
}

// What an OTP needs is prepared once, and not for each call.
func TestStatementsArePreparedOnce(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	seen := &preparations{}
	onWriter(t, s, func(c *conn) {
		if err := c.SetAuthorizer(seen); err != nil {
			t.Error(err)
		}
	})
	call := func(n int) {
		account := otp.Account(fmt.Sprint("account ", n))
		leased := benchWrite(n, 1)
		_, err := s.Update(t.Context(), account, leased.ID, func(otp.Snapshot) otp.Decision { return otp.Decision{Write: &leased} })
		if err != nil {
			t.Fatal(err)
		}
		settled := benchWrite(n, 2)
		settled.AuditEntry.Stage, settled.Response = otp.StageOutcome, withResponse(1).Response
		if err := s.Replace(t.Context(), settled); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.KeyByID(t.Context(), fmt.Sprint("key ", n)); !errors.Is(err, authn.ErrNoKey) {
			t.Fatal(err)
		}
	}
	call(1) // prepares all: SQLite forgets what it prepared without the authorizer
	prepared := seen.asked
	for n := range 3 {
		call(2 + n)
	}
	if prepared == 0 || seen.asked != prepared {
		t.Errorf("SQLite asked %d times at first, and %d times afterwards", prepared, seen.asked-prepared)
	}
}
