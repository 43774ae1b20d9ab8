package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// AuditAfter gives the lines of the audit log with an id above the one given, in the order of ids, at most limit. It
// gives no line before the transactions of all lower ids have ended, so who goes on after the last id that it has seen
// misses none; a transaction that goes on for long, in any database of the server, holds the newest lines back.
func (s *Store) AuditAfter(ctx context.Context, id int64, limit int) ([]otp.Audited, error) {
	found, err := s.pool.Query(ctx, `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step FROM audit
		WHERE id > $1 AND id < (SELECT audit_base FROM house) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint
		ORDER BY id LIMIT $2`, id, limit)
	if err != nil {
		return nil, describe("read the audit log", err)
	}
	lines, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (line otp.Audited, err error) {
		var at int64
		err = row.Scan(&line.ID, &at, &line.Account, &line.Caller, &line.Transaction, &line.Action, &line.Stage, &line.Outcome, &line.Step)
		line.At = time.UnixMicro(at).UTC()
		return line, err
	})
	if err != nil {
		return nil, describe("read the audit log", err)
	}
	return lines, nil
}
