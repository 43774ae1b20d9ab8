package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// each runs a query and hands over its rows, one after the other.
func (s *Store) each(ctx context.Context, what string, query *sql.Stmt, use func(*sql.Rows) error, args ...any) (err error) {
	if err := s.health.refusal(); err != nil {
		return err
	}
	rows, err := query.QueryContext(ctx, args...)
	if err != nil {
		return s.readError(what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := use(rows); err != nil {
			return s.readError(what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return s.readError(what, err)
	}
	return nil
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
