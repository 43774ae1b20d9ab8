package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// Identity names the cluster and the database that the store is in. A physical copy of the cluster has the same.
func (s *Store) Identity(ctx context.Context) (name string, err error) {
	const identity = `SELECT system_identifier || '/' || current_database() FROM pg_control_system()`
	err = s.queryRow(ctx, s.limits.others, "identify the database", identity, nil, []any{&name})
	return name, err
}

// AccountContents is what a store has of one account, without its entries in the audit log.
type AccountContents struct {
	Row     otp.Row
	Former  []otp.Row // devices that the account had before another one
	Answers []KeptAnswer
}

// KeptAnswer is a response that is kept for a repeat of its call, sealed. The fields are columns of the table.
type KeptAnswer struct {
	Key                 string
	At                  int64
	IsOTP               bool
	Fingerprint, Answer []byte
}

// AccountContents returns what the store has of the account; otp.ErrNotFound means that it has no row.
func (s *Store) AccountContents(ctx context.Context, account otp.Account) (c AccountContents, err error) {
	const (
		row     = `SELECT ` + listedColumns + ` FROM device WHERE account = $1`
		former  = `SELECT ` + formerAsListed + ` FROM former_device WHERE account = $1 ORDER BY serial`
		answers = `SELECT key, at, is_otp, fingerprint, answer FROM answer WHERE account = $1 ORDER BY key`
	)
	err = s.do(ctx, s.limits.others, "read an account", func(ctx context.Context, conn *pgx.Conn) error {
		options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
		return pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
			rows, err := attempt(ctx, tx, scanRow, row, string(account))
			if err == nil && len(rows) == 0 {
				err = otp.ErrNotFound
			}
			if err != nil {
				return err
			}
			c.Row = rows[0]
			if c.Former, err = attempt(ctx, tx, scanFound, former, string(account)); err != nil {
				return err
			}
			c.Answers, err = attempt(ctx, tx, pgx.RowToStructByPos[KeptAnswer], answers, string(account))
			return err
		})
	})
	return c, err
}

// AddAccount stores what another store has of an account, in one transaction with the audit entry, whose time is the database's.
// otp.ErrExists means that the account has a row here, and otp.ErrDeviceTaken that another account here has its device.
func (s *Store) AddAccount(ctx context.Context, c AccountContents, entry otp.AuditEntry) error {
	const (
		addRow = `INSERT INTO device (` + deviceColumns + `) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE ` + ownSession + `
			ON CONFLICT (account) DO NOTHING`
		addFormer = `INSERT INTO former_device (` + formerColumns + `) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
		addAnswer = `INSERT INTO answer (` + answerColumns + `) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`
		note      = `WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(` + turnLock + `)) INSERT INTO audit (` + lineColumns + `)
			SELECT nextval('audit_id'), $1, ` + clock + `, $2, $3, '', $4, $5, $6, $7 FROM turn`
	)
	return s.do(ctx, s.limits.others, "add an account", func(ctx context.Context, conn *pgx.Conn) error {
		return inTransaction(ctx, conn, func() (*pgx.Batch, error) {
			added, err := conn.Exec(ctx, addRow, deviceArgs(c.Row)...)
			switch {
			case isTaken(err):
				return nil, errors.Join(otp.ErrDeviceTaken, err)
			case err != nil:
				return nil, err
			case added.RowsAffected() == 0:
				return nil, otp.ErrExists
			}
			rest := &pgx.Batch{}
			for _, f := range c.Former {
				rest.Queue(addFormer, formerArgs(f)...)
			}
			for _, a := range c.Answers {
				rest.Queue(addAnswer, string(c.Row.Account), a.Key, a.At, a.IsOTP, a.Fingerprint, a.Answer)
			}
			rest.Queue(note, uuid.NewString(), string(entry.Account), entry.Caller, entry.Action, string(entry.Stage), entry.Outcome, entry.Step)
			return rest, nil
		})
	})
}
