package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// together runs changes in one transaction.
func together(t testing.TB, s *Store, changes ...change) []error {
	t.Helper()
	batch := make([]*job, len(changes))
	for i, c := range changes {
		batch[i] = &job{Task: task{change: c}}
	}
	onWriter(t, s, func(*conn) {
		s.writer.store(batch)
		s.writer.save(len(batch))
	})
	answers := make([]error, len(batch))
	for i, j := range batch {
		answers[i] = j.Task.result
	}
	return answers
}

// onWriter calls a function in the writer's goroutine, between two transactions.
func onWriter(t testing.TB, s *Store, do func(*conn)) {
	t.Helper()
	_, err := read(context.Background(), s.writer, func(c *conn) (int, error) {
		do(c)
		return 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// execute runs a statement on the writer's connection.
func execute(t testing.TB, s *Store, text string, args ...any) {
	t.Helper()
	value(t, s, text, args...)
}

// value returns the one value that a statement finds, as text.
func value(t testing.TB, s *Store, text string, args ...any) (found string) {
	t.Helper()
	var err error
	onWriter(t, s, func(c *conn) { found, _, err = one(c, (*row).anything, text, args...) })
	if err != nil {
		t.Fatal(err)
	}
	return found
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
	answers := together(t, s,
		writing(first), writing(benchWrite(1, 1)), writing(first), writing(second), writing(benchWrite(1, 2)),
		writing(third), writing(second), writing(benchWrite(2, 1)), writing(reused), writing(benchWrite(9, 2)))
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
	bad := func(on target) (refusal, failure error) {
		_, err := on.exec(insertDevice, "alice", 0, false, nil, nil, nil, 0)
		return nil, err
	}
	answers := together(t, s, writing(benchWrite(1, 1)), bad, writing(benchWrite(2, 1)), bad)
	for i, want := range []string{"", "constraint", "", "constraint"} {
		switch err := answers[i]; {
		case want == "" && err != nil:
			t.Errorf("answer %d is %v", i, err)
		case want != "" && (err == nil || !errors.Is(err, otp.ErrNotApplied) || !strings.Contains(err.Error(), want)):
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

// However many jobs of a transaction fail, the others are stored. They are run again for each of the first failures, and then once.
func TestManyFailuresInOneTransaction(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	runs := 0
	good := func(on target) (refusal, failure error) {
		runs++
		return writing(benchWrite(1, 1))(on)
	}
	bad := func(target) (refusal, failure error) { return nil, errors.New("bad") }
	answers := together(t, s, append([]change{good}, slices.Repeat([]change{bad}, 3*maxAlone)...)...)
	for i, err := range answers {
		if i == 0 && err != nil || i > 0 && !errors.Is(err, otp.ErrNotApplied) {
			t.Errorf("answer %d is %v", i, err)
		}
	}
	if runs != maxAlone+1 || revision(t, s, "account 1") != 1 {
		t.Errorf("after %d runs the account has revision %d", runs, revision(t, s, "account 1"))
	}
}

// When a commit fails, a change whose caller has gone on is left out, and the others may be made again.
func TestCommitFailsAfterACallerWentOn(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	nothing := func(target) (refusal, failure error) { return nil, nil }
	early, plain := &job{Task: task{change: nothing, ahead: make(chan struct{})}}, &job{Task: task{change: nothing}}
	refused := &job{Task: task{ahead: make(chan struct{}), change: func(target) (refusal, failure error) { return otp.ErrConflict, nil }}}
	spoiler := &job{Task: task{change: func(on target) (refusal, failure error) { // there is nothing to commit then
		_, failure = on.exec("ROLLBACK")
		return nil, failure
	}}}
	tried, err := read(t.Context(), s.writer, func(*conn) (transaction, error) {
		x := transaction{writer: s.writer, left: []*job{early, refused, plain, spoiler}}
		_, err := x.try()
		if err == nil {
			t.Error("the commit has not failed")
		}
		return x, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tried.left, []*job{refused, plain, spoiler}) || !slices.Equal(tried.refused, []*job{early}) || early.Task.result == nil {
		t.Errorf("%d may be made again, and %d are left out with %v", len(tried.left), len(tried.refused), early.Task.result)
	}
	select {
	case <-refused.Task.ahead:
		t.Error("the caller of a change that was refused goes on")
	default:
	}
}

// Of a commit that fails it is not known for any of its writes whether they are stored.
func TestCommitThatFails(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	execute(t, s, "CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	execute(t, s, "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
	orphan := func(on target) (refusal, failure error) {
		_, failure = on.exec("INSERT INTO child VALUES (1)")
		return nil, failure
	}
	for i, err := range together(t, s, orphan, writing(benchWrite(1, 1))) {
		if err == nil || errors.Is(err, otp.ErrNotApplied) || !strings.HasPrefix(err.Error(), "make a write durable: ") {
			t.Errorf("answer %d is %v", i, err)
		}
	}
	if err := s.Create(t.Context(), benchWrite(2, 1)); err != nil || revision(t, s, "account 1") != 0 {
		t.Errorf("the next write: %v; the account has revision %d", err, revision(t, s, "account 1"))
	}
}

// More writes than one transaction takes are all done, although no other call wakes the writer.
func TestMoreWritesThanOneTransactionTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, commits := observed(t)
		hold, reached, release := stuck()
		var all sync.WaitGroup
		all.Go(func() { _ = s.writer.change(t.Context(), hold) })
		<-reached
		for n := range maxBatch + 1 {
			all.Go(func() {
				if err := s.Create(t.Context(), benchWrite(n, 1)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all wait
		close(release)
		all.Wait()
		if want := []commit{{1, nil}, {maxBatch, nil}, {1, nil}}; !slices.Equal(*commits, want) {
			t.Errorf("the commits were %v, want %v", *commits, want)
		}
	})
}

func TestFullDatabase(t *testing.T) {
	t.Parallel()
	s, commits := observed(t)
	limit := func(pages int) { execute(t, s, fmt.Sprint("PRAGMA max_page_count = ", pages)) }
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
	if last := (*commits)[len(*commits)-1]; !isFull(last.err) {
		t.Errorf("the last commit was %v, want the error of the write", last)
	}
	limit(1 << 20)
	if err := s.Create(t.Context(), w); err != nil || revision(t, s, w.Row.Account) != 1 {
		t.Errorf("the same write with room again: %v", err)
	}
}

// stuck returns a change that makes the writer wait, and tells when it does.
func stuck() (c change, reached, release chan struct{}) {
	reached, release = make(chan struct{}), make(chan struct{})
	return func(target) (refusal, failure error) {
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
			err := s.writer.change(ctx, func(on target) (refusal, failure error) {
				_, _ = hold(on)
				return writing(benchWrite(1, 1))(on)
			})
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "is not known") {
				t.Errorf("a caller who went away during the transaction: %v, want an error that says that the result is not known", err)
			}
		})
		<-reached
		all.Go(func() {
			if err := s.Create(ctx, benchWrite(2, 1)); !errors.Is(err, context.Canceled) || !errors.Is(err, otp.ErrNotApplied) {
				t.Errorf("a caller of a lease who went away before the transaction: %v", err)
			}
		})
		settle := benchWrite(4, 1)
		settle.AuditEntry.Stage = otp.StageOutcome
		all.Go(func() {
			if err := s.Create(ctx, settle); !errors.Is(err, context.Canceled) || errors.Is(err, otp.ErrNotApplied) {
				t.Errorf("a caller of a settle who went away before the transaction: %v", err)
			}
		})
		synctest.Wait() // all wait for the writer, which waits for release
		cancel()
		all.Wait()
		close(release)
		if err := s.Create(t.Context(), benchWrite(3, 1)); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		if revision(t, s, "account 1") != 1 || revision(t, s, "account 2") != 0 {
			t.Error("what was in the transaction must be stored, what was not must not")
		}
		if err := s.Create(t.Context(), settle); err != nil || revision(t, s, "account 4") != 1 {
			t.Errorf("the settle, which is never dropped, has revision %d (%v)", revision(t, s, "account 4"), err)
		}
	})
}

// What cannot be a write is refused in words, before a transaction fails at it. The largest numbers are stored.
func TestMalformedWrites(t *testing.T) {
	t.Parallel()
	s, commits := observed(t)
	const id, number = "the id of a write must be", "must be less than 2⁶³"
	for name, test := range map[string]struct {
		change func(*otp.Write)
		want   string
	}{
		"no id":              {func(w *otp.Write) { w.ID = "" }, id},
		"an id that is long": {func(w *otp.Write) { w.ID = strings.Repeat("x", 65) }, id},
		"a large revision":   {func(w *otp.Write) { w.Row.Revision = math.MaxInt64 + 1 }, number},
		"a large step":       {func(w *otp.Write) { w.AuditEntry.Step = math.MaxInt64 + 1 }, number},
	} {
		w := benchWrite(1, 2)
		test.change(&w)
		if err := s.Replace(t.Context(), w); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, test.want)
		}
	}
	if len(*commits) != 0 {
		t.Errorf("the commits were %v", *commits)
	}
	w := benchWrite(1, 1)
	w.AuditEntry.Step = math.MaxInt64
	if err := s.Create(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	execute(t, s, "UPDATE device SET revision = revision + ?", int64(math.MaxInt64-2))
	if err := s.Replace(t.Context(), benchWrite(1, math.MaxInt64)); err != nil {
		t.Error(err)
	}
}

// A caller may go on with the row that it has handed over, even when its call ended before the write.
func TestAWriteIsACopy(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	w := benchWrite(1, 1)
	w.Row.Body = []byte("as it was")
	c := writing(w)
	copy(w.Row.Body, "something")
	if err := together(t, s, c)[0]; err != nil {
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
			changes[i] = writing(benchWrite(n*len(changes)+i, 1))
		}
		if err := errors.Join(together(t, s, changes...)...); err != nil {
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
	before := value(t, s, "PRAGMA page_count")
	for range 300 {
		if err := s.Writable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := value(t, s, "PRAGMA page_count"); after != before {
		t.Errorf("the database has grown from %s to %s pages", before, after)
	}
	if len(*commits) != 300 {
		t.Errorf("there were %d commits", len(*commits))
	}
}
