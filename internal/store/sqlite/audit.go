package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// AuditAfter gives the lines of the audit log with an id above the one given, in the order of ids, at most limit. Lines
// appear in the order of their ids, so who goes on after the last id that it has seen misses none.
func (s *Store) AuditAfter(ctx context.Context, id int64, limit int) (lines []otp.Audited, err error) {
	err = s.each(ctx, "read the audit log", s.read.auditAfter, func(row *sql.Rows) error {
		var line otp.Audited
		var at int64
		err := row.Scan(&line.ID, &at, &line.Account, &line.Caller, &line.Transaction, &line.Action, &line.Stage, &line.Outcome, &line.Step)
		line.At = time.UnixMicro(at).UTC()
		lines = append(lines, line)
		return err
	}, id, limit)
	return lines, err
}

// lineArgs are the values of a line, as insertLine has them; checkWrite has seen that the number fits.
func lineArgs(w otp.Write) []any {
	l := w.Line
	return []any{
		w.ID, l.At.UnixMicro(), string(l.Account), l.Caller, l.Transaction, l.Action, string(l.Stage), l.Outcome,
		int64(l.Step),
	}
}
