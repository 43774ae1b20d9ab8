package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// list returns the rows of a query.
func list[T any](ctx context.Context, s *Store, what string, query *sql.Stmt, scan func(scanner) (T, error), args ...any) ([]T, error) {
	if err := s.health.refusal(); err != nil {
		return nil, err
	}
	all, err := within(ctx, func() (all []T, err error) {
		rows, err := query.QueryContext(ctx, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			row, err := scan(rows)
			if err != nil {
				return nil, err
			}
			all = append(all, row)
		}
		return all, rows.Err()
	})
	if err != nil {
		return nil, s.readError(what, err)
	}
	return all, nil
}

// count returns the number that is the one result of a query.
func (s *Store) count(ctx context.Context, what string, query *sql.Stmt, args ...any) (int, error) {
	if err := s.health.refusal(); err != nil {
		return 0, err
	}
	n, err := within(ctx, func() (n int, err error) {
		err = query.QueryRowContext(ctx, args...).Scan(&n)
		return n, err
	})
	if err != nil {
		return 0, s.readError(what, err)
	}
	return n, nil
}

// within returns what read does, or an error when ctx ends first: a read from a disk that hangs cannot be interrupted, and
// goes on without its caller.
func within[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	answer := make(chan result, 1)
	go func() {
		var r result
		r.err = otp.CatchPanic(func() (err error) {
			r.value, err = read()
			return err
		})
		answer <- r
	}()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// readError says what could not be read, and looks whether the database is at fault.
func (s *Store) readError(what string, err error) error {
	s.health.note(err)
	return fmt.Errorf("%s: %w", what, err)
}

// microsOrNull is how a time is stored that may be the zero time.
func microsOrNull(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func timeOrZero(micros sql.NullInt64) time.Time {
	if !micros.Valid {
		return time.Time{}
	}
	return time.UnixMicro(micros.Int64).UTC()
}
