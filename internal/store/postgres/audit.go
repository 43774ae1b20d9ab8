package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// Note adds lines that come with no record, each in a transaction of its own, as its id demands. Their time is the
// database's, whatever they say.
func (s *Store) Note(ctx context.Context, lines []otp.Line) error {
	const note = `INSERT INTO audit (` + lineColumns + `) SELECT audit_base + pg_current_xact_id()::text::bigint, $1, ` + clock + `,
		$2, $3, $4, $5, $6, $7, $8 FROM house`
	for _, l := range lines {
		err := s.exec(ctx, s.lanes.others, "note a line in the audit log", note,
			uuid.NewString(), string(l.Account), l.Caller, l.Transaction, l.Action, string(l.Stage), l.Outcome, l.Step)
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditAfter gives the lines of the audit log with an id above the one given, in the order of ids, at most limit. It
// gives no line before the transactions of all lower ids have ended, so who goes on after the last id that it has seen
// misses none; a transaction that goes on for long, in any database of the server, holds the newest lines back.
func (s *Store) AuditAfter(ctx context.Context, id int64, limit int) ([]otp.Audited, error) {
	const after = `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step FROM audit
		WHERE id > $1 AND id < (SELECT audit_base FROM house) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint
		ORDER BY id LIMIT $2`
	return query(ctx, s, s.lanes.others, "read the audit log", scanLine, after, id, limit)
}

func scanLine(row pgx.CollectableRow) (line otp.Audited, err error) {
	var at int64
	err = row.Scan(&line.ID, &at, &line.Account, &line.Caller, &line.Transaction, &line.Action, &line.Stage, &line.Outcome, &line.Step)
	line.At = time.UnixMicro(at).UTC()
	return line, err
}
