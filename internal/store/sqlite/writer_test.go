package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// commit is what ObserveCommit was told.
type commit struct {
	writes int
	err    error
}

func observed(t *testing.T) (*Store, *[]commit) {
	t.Helper()
	commits := &[]commit{}
	s, err := OpenOrCreate(t.Context(), Options{
		Dir: filepath.Join(t.TempDir(), "data"),
		ObserveCommit: func(writes int, took time.Duration, err error) {
			if took < 0 {
				t.Errorf("a commit took %v", took)
			}
			*commits = append(*commits, commit{writes, err})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s, commits
}

// together runs changes in one transaction, past the queue: the writer has nothing to do meanwhile.
func together(s *Store, changes ...change) []error {
	batch := make([]*job, len(changes))
	for i, c := range changes {
		batch[i] = &job{change: c, answer: make(chan error, 1)}
	}
	s.writer.answer(batch)
	answers := make([]error, len(batch))
	for i, j := range batch {
		answers[i] = <-j.answer
	}
	return answers
}

func revision(t *testing.T, s *Store, account otp.Account) uint64 {
	t.Helper()
	row, _, err := s.Fetch(t.Context(), account)
	if err != nil && !errors.Is(err, otp.ErrNotFound) {
		t.Fatal(err)
	}
	return row.Revision
}

func TestARefusalIsForOneAlone(t *testing.T) {
	t.Parallel()
	s, commits := observed(t)
	first, second, third := benchWrite(1, 1), benchWrite(1, 2), benchWrite(1, 3)
	reused := benchWrite(3, 1)
	reused.ID = first.ID
	answers := together(s,
		creating(first), creating(benchWrite(1, 1)), creating(first), replacing(second), replacing(benchWrite(1, 2)),
		replacing(third), replacing(second), creating(benchWrite(2, 1)), creating(reused), replacing(benchWrite(9, 2)))
	for i, want := range []error{nil, otp.ErrExists, nil, nil, otp.ErrConflict, nil, nil, nil, answers[8], otp.ErrConflict} {
		if !errors.Is(answers[i], want) {
			t.Errorf("answer %d is %v, want %v", i, answers[i], want)
		}
	}
	if answers[8] == nil || revision(t, s, "account 3") != 0 {
		t.Errorf("a write with the id of another: %v", answers[8])
	}
	if revision(t, s, "account 1") != 3 || revision(t, s, "account 2") != 1 {
		t.Error("not all that fits is stored")
	}
	if lines, err := s.AuditAfter(t.Context(), 0, 99); err != nil || len(lines) != 4 {
		t.Errorf("there are %d lines, want 4 (%v)", len(lines), err)
	}
	if len(*commits) != 1 || (*commits)[0] != (commit{10, nil}) {
		t.Errorf("the commits were %v", *commits)
	}
}

// A change that the database refuses, or that meets a damaged page, costs none of those in the same transaction anything.
func TestFailureIsForOneAlone(t *testing.T) {
	t.Parallel()
	s, commits := observed(t)
	bad := func(ctx context.Context, on *statements) (refusal, failure error) {
		_, err := on.insertDevice.ExecContext(ctx, "alice", 0, false, nil, nil, nil, 0)
		return nil, err
	}
	answers := together(s, creating(benchWrite(1, 1)), bad, creating(benchWrite(2, 1)), bad)
	for i, want := range []string{"", "constraint", "", "constraint"} {
		switch err := answers[i]; {
		case want == "" && err != nil:
			t.Errorf("answer %d is %v", i, err)
		case want != "" && (err == nil || !errors.Is(err, otp.ErrUntouched) || !strings.Contains(err.Error(), want)):
			t.Errorf("answer %d is %v, want an error that says %q and that nothing is stored", i, err, want)
		}
	}
	if revision(t, s, "account 1") != 1 || revision(t, s, "account 2") != 1 || revision(t, s, "alice") != 0 {
		t.Error("what did not fail is not stored, or what failed is")
	}
	if len(*commits) != 1 || (*commits)[0] != (commit{4, nil}) {
		t.Errorf("the commits were %v", *commits)
	}
	if err := s.Broken(); err != nil {
		t.Errorf("the store is broken: %v", err)
	}
}

// Many failures in one transaction do not have the rest of it done again and again.
func TestManyFailuresEndTheirTransaction(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	runs := 0
	good := func(context.Context, *statements) (refusal, failure error) { runs++; return nil, nil }
	bad := func(context.Context, *statements) (refusal, failure error) { return nil, errors.New("bad") }
	answers := together(s, append([]change{good}, slices.Repeat([]change{bad}, 3*maxAlone)...)...)
	if runs != maxAlone+1 || answers[0] == nil || !errors.Is(answers[0], otp.ErrUntouched) {
		t.Errorf("after %d runs: %v", runs, answers[0])
	}
	if err := s.Create(t.Context(), benchWrite(1, 1)); err != nil || s.Broken() != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestFullDatabase(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	limit := func(pages int) {
		if _, err := s.writer.conn.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(40)
	w := benchWrite(1, 1)
	err := s.Create(t.Context(), w)
	for n := 2; err == nil; n++ {
		w = benchWrite(n, 1)
		err = s.Create(t.Context(), w)
	}
	if errors.Is(err, otp.ErrBroken) || s.Broken() != nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a write without room: %v", err)
	}
	if revision(t, s, w.Row.Account) != 0 || revision(t, s, "account 1") != 1 {
		t.Error("what did not fit is there, or what did is not")
	}
	limit(1 << 20)
	if err := s.Create(t.Context(), w); err != nil || revision(t, s, w.Row.Account) != 1 {
		t.Errorf("the same write with room again: %v", err)
	}
}

// stuck gives a change that makes the writer wait, and tells when it does.
func stuck() (c change, reached, release chan struct{}) {
	reached, release = make(chan struct{}), make(chan struct{})
	return func(context.Context, *statements) (refusal, failure error) {
		close(reached)
		<-release
		return nil, nil
	}, reached, release
}

func TestACallerWhoGoesAwayDisturbsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := observed(t)
		hold, reached, release := stuck()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			err := s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
				_, _ = hold(ctx, on)
				return creating(benchWrite(1, 1))(ctx, on)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a caller who went away during the transaction: %v", err)
			}
		})
		<-reached
		all.Go(func() {
			if err := s.Create(ctx, benchWrite(2, 1)); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller who went away before the transaction: %v", err)
			}
		})
		synctest.Wait() // both wait for the writer, which waits for release
		cancel()
		all.Wait()
		close(release)
		if err := s.Create(t.Context(), benchWrite(3, 1)); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		if revision(t, s, "account 1") != 1 || revision(t, s, "account 2") != 0 {
			t.Error("what was in the transaction must be stored, what was not must not")
		}
	})
}

// A caller may go on with the row that it has handed over, even when its call ended before the write.
func TestAWriteIsACopy(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	w := benchWrite(1, 1)
	w.Row.Body = []byte("as it was")
	c := creating(w)
	copy(w.Row.Body, "something")
	if err := together(s, c)[0]; err != nil {
		t.Fatal(err)
	}
	if row, _, err := s.Fetch(t.Context(), "account 1"); err != nil || string(row.Body) != "as it was" {
		t.Errorf("the body is %q (%v)", row.Body, err)
	}
}

func TestTheLogDoesNotGrowForEver(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	var largest int64
	for n := range 64 {
		changes := make([]change, 64)
		for i := range changes {
			changes[i] = creating(benchWrite(n*len(changes)+i, 1))
		}
		if err := errors.Join(together(s, changes...)...); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.health.files.files[1].path)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if largest > 12<<20 {
		t.Errorf("the log has grown to %d bytes", largest)
	}
}

func TestWritable(t *testing.T) {
	t.Parallel()
	s, commits := observed(t)
	pages := func() (n int) {
		if err := s.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := pages()
	for range 300 {
		if err := s.Writable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := pages(); after != before {
		t.Errorf("the database has grown from %d to %d pages", before, after)
	}
	if len(*commits) != 300 {
		t.Errorf("there were %d commits", len(*commits))
	}
}
