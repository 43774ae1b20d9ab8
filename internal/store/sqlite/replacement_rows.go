package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
)

// listedWithoutVault are listedColumns of records of which the keys are not wanted.
const listedWithoutVault = `account, revision, in_doubt, held_until, body, x'' AS vault, unread_answers, disabled, serial, active, epoch`

// List returns rows of the new database, as the method of Store.
func (r *Replacement) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	return rowsOf(ctx, r.conn, `SELECT `+listedColumns+` FROM new.device WHERE account > ? ORDER BY account LIMIT ?`, string(after), limit)
}

// Replaced returns the rows of the replaced database that belong to the account or to its device, without their secrets. Those of
// accounts that have had the device before another one are among them.
func (r *Replacement) Replaced(ctx context.Context, row otp.Row) ([]otp.Row, error) {
	return rowsOf(ctx, r.conn, `SELECT `+listedWithoutVault+` FROM main.device WHERE account = ?
		UNION ALL SELECT `+listedWithoutVault+` FROM main.device WHERE serial = ? AND serial <> '' AND account <> ?
		UNION ALL SELECT account, revision, 0, NULL, body, x'', 0, 0, serial, 0, 0 FROM main.former_device WHERE serial = ?`,
		string(row.Account), row.Claim.Serial, string(row.Account), row.Claim.Serial)
}

// OnlyReplaced returns rows of accounts that only the replaced database has, without their secrets, in the order of accounts.
func (r *Replacement) OnlyReplaced(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	return rowsOf(ctx, r.conn, `SELECT `+listedWithoutVault+` FROM main.device old WHERE account > ?
		AND NOT EXISTS (SELECT 1 FROM new.device WHERE new.device.account = old.account) ORDER BY account LIMIT ?`, string(after), limit)
}

// WithoutDevice returns the accounts that both databases have, and only the replaced one with a device.
func (r *Replacement) WithoutDevice(ctx context.Context) (accounts []otp.Account, err error) {
	rows, err := rowsOf(ctx, r.conn, `SELECT `+listedWithoutVault+` FROM main.device old WHERE active = 1
		AND EXISTS (SELECT 1 FROM new.device WHERE new.device.account = old.account AND new.device.active = 0) ORDER BY account`)
	for _, row := range rows {
		accounts = append(accounts, row.Account)
	}
	return accounts, err
}

func rowsOf(ctx context.Context, c *conn, query string, args ...any) ([]otp.Row, error) {
	defer c.interruptedBy(ctx)()
	return all(c, readListed, query, args...)
}

// Put stores rows in the new database: over those of their accounts, or as the first ones. Of accounts that are there,
// vaults, claims and epochs stay as they are, and so does whether they are disabled.
func (r *Replacement) Put(ctx context.Context, rows []otp.Row) error {
	const putRow = `INSERT INTO new.device (` + listedColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET (revision, in_doubt, held_until, body)
			= (excluded.revision, excluded.in_doubt, excluded.held_until, excluded.body)`
	defer r.conn.interruptedBy(ctx)()
	if _, err := r.conn.exec("BEGIN"); err != nil {
		return err
	}
	for _, row := range rows {
		_, err := r.conn.execWith(putRow, func(p *params) {
			setRow(p, row, false)
			p.flag(row.Disabled)
			p.text(row.Claim.Serial)
			p.flag(row.Claim.Active)
			p.integer(int64(row.Epoch))
		})
		if err != nil {
			_, _ = r.conn.exec("ROLLBACK") // which SQLite has done itself after some errors
			return fmt.Errorf("store the record of account %q: %w", row.Account, err)
		}
	}
	_, err := r.conn.exec("COMMIT")
	return err
}

// Carried is what CarryOver has taken from the replaced database.
type Carried struct {
	KeysRevoked int // that are not revoked in the backup
	KeysAdded   int // that the backup does not have
	Spent       int // keys of repeatable calls
	Lines       int // of the audit log
}

// CarryOver takes over from the replaced database what is not part of a record: API keys and their revocations, the keys of repeatable
// calls, which are spent, what was counted of former devices, which accounts are disabled, and the newer lines of the audit log. A key
// that the replaced database does not have is revoked.
func (r *Replacement) CarryOver(ctx context.Context) (c Carried, err error) {
	const earliest = `%[1]s = coalesce(min(api_key.%[1]s, excluded.%[1]s), api_key.%[1]s, excluded.%[1]s)`
	at := now().UnixMicro()
	defer r.conn.interruptedBy(ctx)()
	for _, step := range []struct {
		count *int
		query string
		args  []any
	}{
		{&c.KeysRevoked, `UPDATE new.api_key SET revoked_at = coalesce((SELECT revoked_at FROM main.api_key old WHERE old.id = api_key.id), ?1)
			WHERE revoked_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM main.api_key old WHERE old.id = api_key.id AND old.revoked_at IS NULL)`, []any{at}},
		{&c.KeysAdded, `INSERT INTO new.api_key (` + keyColumns + `) SELECT ` + keyColumns + ` FROM main.api_key
			WHERE id NOT IN (SELECT id FROM new.api_key)`, nil},
		{new(int), `INSERT INTO new.api_key (` + keyColumns + `) SELECT ` + keyColumns + ` FROM main.api_key WHERE true
			ON CONFLICT (id) DO UPDATE SET ` + fmt.Sprintf(earliest, "revoked_at") + `, ` + fmt.Sprintf(earliest, "expires_at") + `,
			last_used_at = coalesce(max(api_key.last_used_at, excluded.last_used_at), api_key.last_used_at, excluded.last_used_at)`, nil},
		{&c.Spent, `INSERT INTO new.answer (` + answerColumns + `) SELECT account, key, at, is_otp, NULL, NULL FROM main.answer WHERE true
			ON CONFLICT (account, key) DO UPDATE SET (at, fingerprint, answer) = (max(answer.at, excluded.at), NULL, NULL)`, nil},
		{new(int), `INSERT INTO new.former_device (` + formerColumns + `)
			SELECT ` + formerColumns + ` FROM main.former_device
			UNION ALL SELECT ` + formerColumns + ` FROM main.device old WHERE serial <> ''
			AND EXISTS (SELECT 1 FROM new.device WHERE new.device.account = old.account AND new.device.serial <> old.serial)
			ON CONFLICT (serial, account) DO UPDATE SET (revision, body) = (excluded.revision, excluded.body)
			WHERE excluded.revision > former_device.revision`, nil},
		{new(int), `UPDATE new.device SET disabled = 1 WHERE disabled = 0
			AND EXISTS (SELECT 1 FROM main.device old WHERE old.account = device.account AND old.disabled = 1)`, nil},
		{new(int), `UPDATE new.doubt_epoch SET number = max(number, (SELECT number FROM main.doubt_epoch))`, nil},
		{&c.Lines, `INSERT INTO new.audit (id, ` + lineColumns + `) SELECT id, ` + lineColumns + ` FROM main.audit
			WHERE id > (SELECT coalesce(max(id), 0) FROM new.audit) ON CONFLICT (write_id) DO NOTHING`, nil},
	} {
		if *step.count, err = r.conn.exec(step.query, step.args...); err != nil {
			return c, fmt.Errorf("take over from the replaced store: %w", err)
		}
	}
	return c, nil
}

// unknownIDs is how many ids of the audit log are left out where it is not known how many were given since the backup.
const unknownIDs = 1_000_000_000

// Seal ends what is prepared: stored responses are spent, the next log can be distinguished from every earlier one, and the line
// is the last of the audit log. The doubt epoch is raised: every device is in doubt.
func (r *Replacement) Seal(ctx context.Context, line otp.AuditEntry) error {
	gap := 1
	if r.unreadable != nil {
		gap = unknownIDs
	}
	seen := readLastSeen(lastSeenPath(r.path)) // of the replaced store, which may be unreadable
	defer r.conn.interruptedBy(ctx)()
	line.At = now()
	for query, args := range map[string][]any{
		`UPDATE new.doubt_epoch SET (number, since, cause) = (max(number, ?) + 1, ?, ?)`:      {seen.epoch, line.At.UnixMicro(), line.Action},
		`UPDATE new.answer SET (fingerprint, answer) = (NULL, NULL) WHERE answer IS NOT NULL`: nil,
		`UPDATE new.store SET (log, log_before) = (randomblob(16), randomblob(16))`:           nil,
	} {
		if _, err := r.conn.exec(query, args...); err != nil {
			return err
		}
	}
	const lastLine = `INSERT INTO new.audit (id, ` + lineColumns + `)
		VALUES ((SELECT coalesce(max(id), 0) FROM new.audit) + ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	_, err := r.conn.execWith(lastLine, func(p *params) {
		p.integer(int64(gap))
		setLine(p, uuid.NewString(), line)
	})
	return err
}
