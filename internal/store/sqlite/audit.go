package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
)

// AuditAfter returns the lines of the audit log with an id above the one given, in the order of ids, at most limit. Lines
// appear in the order of their ids, so who goes on after the last id that it has seen misses none.
// Of a damaged line it returns what can be read, and the damage.
func (s *Store) AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error) {
	lines, err := list(ctx, s, "read the audit log", readLine, auditAfter, id, limit)
	if isDamage(err) {
		return s.auditSingly(ctx, id, limit)
	}
	return lines, err
}

// AppendAudit adds lines that come with no record. Their time is the store's, whatever they say.
func (s *Store) AppendAudit(ctx context.Context, lines []otp.AuditEntry) error {
	lines = append([]otp.AuditEntry(nil), lines...)
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		for _, line := range lines {
			line.At = s.now()
			if err := on.insertLine(uuid.NewString(), line); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// ForgetLines deletes the oldest lines, as far as they are older than age, as deleteInSteps says. It never deletes the newest: the
// ids go on from there. A line before an old one is as old, whatever its stamp says: it comes from a clock that was ahead.
func (s *Store) ForgetLines(ctx context.Context, age time.Duration) error {
	before := s.now().Add(-age).UnixMicro()
	return s.deleteInSteps(ctx, func(on target) (more bool, failure error) {
		deleted, failure := on.exec(dropLines, stepRows, before)
		return deleted == stepRows, failure
	})
}

// insertLine adds a line to the audit log.
func (c *conn) insertLine(writeID string, line otp.AuditEntry) error {
	_, err := c.execWith(insertLine, func(p *params) { setLine(p, writeID, line) })
	return err
}

// setLine sets lineColumns; otp.Write.Check has seen that the number fits.
func setLine(p *params, writeID string, line otp.AuditEntry) {
	p.text(writeID)
	p.at(line.At)
	p.text(string(line.Account))
	p.text(line.Caller)
	p.text(line.Transaction)
	p.text(line.Action)
	p.text(string(line.Stage))
	p.text(line.Outcome)
	p.integer(int64(line.Step))
}

// readLine reads an id and lineColumns without the id of the write.
func readLine(r *row) (otp.AuditRecord, error) {
	line := otp.AuditRecord{ID: r.integer(), AuditEntry: otp.AuditEntry{
		At: r.at(), Account: otp.Account(r.text()), Caller: r.text(), Transaction: r.text(), Action: r.text(),
		Stage: otp.Stage(r.text()), Outcome: r.text(), Step: r.number(),
	}}
	if r.err != nil {
		line.Damage = fmt.Sprintf("the line cannot be read whole: %v", r.err)
	}
	return line, nil
}
