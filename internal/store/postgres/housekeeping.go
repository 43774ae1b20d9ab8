package postgres

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/storequeue"
)

// stepRows bounds how many rows one step of housekeeping changes.
const stepRows = 1000

// change runs a statement of housekeeping and reports whether it changed as many rows as it may.
func (s *Store) change(ctx context.Context, what, statement string, args ...any) (more bool, err error) {
	changed, err := s.execCount(ctx, s.limits.others, what, statement, args...)
	return changed >= stepRows, err
}

// ForgetAnswers discards the stored responses that are older than answerLife, and drops the keys that are older than
// keyLife, as storequeue.InSteps says. It discards those from the future, too, and counts the age of their keys from now on. Replicas
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
	return storequeue.InSteps(ctx, func(ctx context.Context) (bool, error) {
		discarded, err := s.change(ctx, "discard stored responses", discard, answerLife.Microseconds(), stepRows)
		if err != nil {
			return false, err
		}
		aged, err := s.change(ctx, "discard stored responses from the future", age, otp.ClockTolerance.Microseconds(), stepRows)
		if err != nil {
			return false, err
		}
		dropped, err := s.change(ctx, "drop keys of stored responses", drop, keyLife.Microseconds(), stepRows)
		return discarded || aged || dropped, err
	})
}

// forgetLines looks at a page of the lines that are not from the future, and deletes up to the last that is old, before the first that is
// not. It reads the page once for each aggregate: a comparison of each line with each other one takes longer than all the rest.
const forgetLines = `WITH now AS MATERIALIZED (SELECT ` + clock + ` AS now, ` + clock + ` - $1 AS before),
	past AS MATERIALIZED (SELECT id, at < (SELECT before FROM now) AS old FROM audit WHERE at <= (SELECT now FROM now) ORDER BY id LIMIT $2)
	DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= (SELECT max(id) FROM past
		WHERE old AND id < coalesce((SELECT min(id) FROM past WHERE NOT old), 9223372036854775807))
		ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)`

// ForgetLines deletes the oldest lines of the audit log, as far as they are older than age, as storequeue.InSteps says. A line from
// the future, written when the clock was wrong, goes with the first line behind it that is old enough.
func (s *Store) ForgetLines(ctx context.Context, age time.Duration) error {
	return storequeue.InSteps(ctx, func(ctx context.Context) (bool, error) {
		return s.change(ctx, "forget old lines of the audit log", forgetLines, age.Microseconds(), stepRows)
	})
}
