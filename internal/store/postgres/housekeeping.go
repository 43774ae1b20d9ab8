package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// stepRows bounds how many rows one step of housekeeping changes.
	stepRows = 1000
	// stepRests is for how many times its own length each step leaves the server to others.
	stepRests = 2
)

// deleteInSteps repeats step until it reports that there is no more to do, or ctx ends. A ctx that ends after the first step
// is no error: the next call goes on.
func deleteInSteps(ctx context.Context, step func(context.Context) (more bool, err error)) error {
	for n := 0; ; n++ {
		began := time.Now()
		more, err := step(ctx)
		switch {
		case n > 0 && ctx.Err() != nil:
			return nil //nolint:nilerr // the next call goes on
		case err != nil || !more:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(stepRests * time.Since(began)):
		}
	}
}

// change runs a statement of housekeeping and reports whether it changed as many rows as it may.
func (s *Store) change(ctx context.Context, what, statement string, args ...any) (more bool, err error) {
	changed, err := s.execCount(ctx, s.limits.others, what, statement, args...)
	return changed >= stepRows, err
}

// ForgetAnswers discards the stored responses that are older than answerLife, and drops the keys that are older than
// keyLife, as deleteInSteps says. It discards those from the future, too, and counts the age of their keys from now on. Replicas
// that do so at the same time share the rows.
func (s *Store) ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error {
	const (
		drop = `DELETE FROM answer WHERE (account, key) IN (SELECT account, key FROM answer WHERE at <= ` + clock + ` - $1
			ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)`
		discard = `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE (account, key) IN (SELECT account, key FROM answer
			WHERE answer IS NOT NULL AND at <= ` + clock + ` - $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)`
		age = `UPDATE answer SET (at, fingerprint, answer) = (` + clock + `, NULL, NULL) WHERE (account, key) IN
			(SELECT account, key FROM answer WHERE at > ` + clock + ` + $1 ORDER BY at DESC LIMIT $2 FOR UPDATE SKIP LOCKED)`
	)
	return deleteInSteps(ctx, func(ctx context.Context) (bool, error) {
		discarded, err := s.change(ctx, "discard stored responses", discard, answerLife.Microseconds(), stepRows)
		if err != nil {
			return false, err
		}
		aged, err := s.change(ctx, "discard stored responses from the future", age, clockTolerance.Microseconds(), stepRows)
		if err != nil {
			return false, err
		}
		dropped, err := s.change(ctx, "drop keys of stored responses", drop, keyLife.Microseconds(), stepRows)
		return discarded || aged || dropped, err
	})
}

// clockTolerance is how far in the future of the database's clock the time of a stored response may be.
const clockTolerance = 2 * time.Second

// ForgetLines deletes the oldest lines of the audit log, as far as they are older than age, as deleteInSteps says. A line from
// the future, written when the clock was wrong, goes with the first line behind it that is old enough.
func (s *Store) ForgetLines(ctx context.Context, age time.Duration) error {
	return deleteInSteps(ctx, func(ctx context.Context) (bool, error) { return s.forgetSomeLines(ctx, age) })
}

// forgetSomeLines looks at the oldest lines, behind those that are known to be from the future, and deletes what is old.
func (s *Store) forgetSomeLines(ctx context.Context, age time.Duration) (more bool, err error) {
	const (
		oldest = `SELECT id, at, ` + clock + ` FROM audit WHERE id > $1 ORDER BY id LIMIT $2`
		forget = `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= $1 AND (at < $2 OR at > $3) ORDER BY id LIMIT $4
			FOR UPDATE SKIP LOCKED)`
	)
	lines, err := query(ctx, s, s.limits.others, "look for old lines of the audit log", pgx.RowToStructByPos[lineAge],
		oldest, s.future.last(), stepRows)
	if err != nil || len(lines) == 0 {
		return false, err
	}
	now := lines[0].Now
	before := now - age.Microseconds()
	if s.future.hasCome(now) {
		return true, nil
	}
	lastOld, future, end := sortLines(lines, before, now)
	if lastOld > 0 {
		full, err := s.change(ctx, "forget old lines of the audit log", forget, lastOld, before, now, stepRows)
		if err != nil || full {
			return full, err
		}
	}
	s.future.add(future)
	return !end && len(lines) == stepRows, nil
}

// lineAge is a line of the audit log, when it was written, and the time now.
type lineAge struct{ ID, At, Now int64 }

// sortLines returns the ID of the last line that is old, and the lines from the future, up to the first that is neither.
// end reports whether there is one that is neither.
func sortLines(lines []lineAge, before, now int64) (lastOld int64, future []lineAge, end bool) {
	for _, l := range lines {
		switch {
		case l.At < before:
			lastOld = l.ID
		case l.At > now:
			future = append(future, l)
		default:
			return lastOld, future, true
		}
	}
	return lastOld, future, false
}

// futureLines remembers how far the oldest lines of the audit log are from the future, so that they are not read again and
// again.
type futureLines struct {
	mu       sync.Mutex
	lastID   int64 // of the last such line; 0: there is none
	earliest int64 // when the first of them is not from the future any more
}

func (f *futureLines) last() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastID
}

// hasCome reports whether one of the lines is not from the future any more, and then forgets all of them.
func (f *futureLines) hasCome(now int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lastID == 0 || f.earliest > now {
		return false
	}
	f.lastID = 0
	return true
}

func (f *futureLines) add(lines []lineAge) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range lines {
		if f.lastID == 0 || l.At < f.earliest {
			f.earliest = l.At
		}
		f.lastID = l.ID
	}
}
