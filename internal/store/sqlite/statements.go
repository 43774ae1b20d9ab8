package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
)

// statements are what the writer runs, prepared on its connection.
type statements struct {
	begin, commit, rollback    *sql.Stmt
	lineOfCreate, insertDevice *sql.Stmt
	lineOfReplace, setDevice   *sql.Stmt
	writeBefore                *sql.Stmt
	keepAnswer, spendAnswer    *sql.Stmt
	claimed, setClaim          *sql.Stmt
	keepFormer                 *sql.Stmt // nil among the scanning ones: a settle can do without it
	spendAnswers, dropAnswers  *sql.Stmt
	ageAnswers                 *sql.Stmt
	noteLine, dropLines        *sql.Stmt
	addKey, revokeKey, useKey  *sql.Stmt
	probe, probeLine           *sql.Stmt
	probeBegin, probeDevice    *sql.Stmt
	probeEnd                   *sql.Stmt
	setSealingKey, nameLog     *sql.Stmt

	// scanning are the same, where the records are found without an index, and a settle changes no column that has one:
	// what it leaves stale there is for counting alone.
	scanning *statements

	all []*sql.Stmt
}

// close must come before the connection is closed, which would otherwise stay open in secret: database/sql takes no
// care of statements that were prepared on one connection.
func (s *statements) close() {
	if s == nil {
		return
	}
	for _, statement := range s.all {
		_ = statement.Close() // what it could say, its last run has said
	}
}

// queries are what readers run, prepared on whichever connection is free.
type queries struct {
	list, countDoubt, auditAfter, listKeys        *sql.Stmt
	bySerial, listFormer, countUnread, sealingKey *sql.Stmt
	countAnswers                                  *sql.Stmt
}

const (
	lineColumns   = `write_id, at, account, caller, transaction_id, action, stage, outcome, step`
	insertLine    = `INSERT INTO audit (` + lineColumns + `) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE `
	rowColumns    = `account, revision, in_doubt, held_until, body, vault`
	deviceColumns = rowColumns + `, unread_answers`
	listedColumns = deviceColumns + `, serial, active`
	formerColumns = `serial, account, revision, body`
	// formerAsListed are a former device in listedColumns, and that it is one.
	formerAsListed = `account, revision, 0, NULL, body, x'', 0, serial, 0, 1`
	answerColumns  = `account, key, at, is_otp, fingerprint, answer`
	keyColumns     = `id, hash, account, prefix, scopes, created_at, expires_at, revoked_at, last_used_at`

	// Those of a lookup.
	fetchText      = `SELECT ` + listedColumns + ` FROM device WHERE account = ?`
	keyByIDText    = `SELECT ` + keyColumns + ` FROM api_key WHERE id = ?`
	ageAnswersText = `UPDATE answer SET (at, fingerprint, answer) = (?, NULL, NULL) WHERE (account, key) IN
		(SELECT account, key FROM answer WHERE at > ? LIMIT ?)`

	withResponseText = `SELECT d.account IS NOT NULL, coalesce(d.account, ''), coalesce(d.revision, 0), coalesce(d.in_doubt, 0),
			d.held_until, d.body, d.vault, coalesce(d.unread_answers, 0), coalesce(d.serial, ''), coalesce(d.active, 0),
			a.account IS NOT NULL, coalesce(a.at, 0), a.fingerprint, a.answer
		FROM (SELECT ? AS account) wanted LEFT JOIN device d USING (account)
		LEFT JOIN answer a ON a.account = wanted.account AND a.key = ?`
)

func prepareStatements(ctx context.Context, conn *sql.Conn) (*statements, error) {
	s := &statements{}
	texts := map[**sql.Stmt]string{
		&s.begin:    `BEGIN IMMEDIATE`,
		&s.commit:   `COMMIT`,
		&s.rollback: `ROLLBACK`,
		// The audit line goes first: whether it can be written is whether the write fits.
		&s.lineOfCreate: insertLine + `NOT EXISTS (SELECT 1 FROM device WHERE account = ?) ON CONFLICT (write_id) DO NOTHING`,
		&s.lineOfReplace: insertLine + `EXISTS (SELECT 1 FROM device WHERE account = ? AND revision = ? AND body = coalesce(?, body))
			ON CONFLICT (write_id) DO NOTHING`,
		&s.insertDevice: `INSERT INTO device (` + deviceColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		&s.setDevice:    `UPDATE device SET (revision, in_doubt, held_until, body, vault, unread_answers) = (?, ?, ?, ?, ?, ?) WHERE account = ?`,
		&s.claimed:      `SELECT EXISTS (SELECT 1 FROM device WHERE serial = ? AND serial <> '' AND active = 1 AND account <> ?)`,
		&s.setClaim:     `UPDATE device SET (serial, active) = (?, ?) WHERE account = ?`,
		&s.keepFormer: `INSERT INTO former_device (` + formerColumns + `)
			SELECT ` + formerColumns + ` FROM device WHERE account = ? AND serial NOT IN ('', ?)
			ON CONFLICT (serial, account) DO UPDATE SET (revision, body) = (excluded.revision, excluded.body)`,
		&s.writeBefore: `SELECT EXISTS (SELECT 1 FROM audit WHERE write_id = ?),
			coalesce((SELECT revision FROM device WHERE account = ?), 0)`,
		&s.keepAnswer: `INSERT INTO answer (` + answerColumns + `) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, key) DO UPDATE
			SET (at, is_otp, fingerprint, answer) = (excluded.at, excluded.is_otp, excluded.fingerprint, excluded.answer)
			WHERE excluded.is_otp AND NOT answer.is_otp AND answer.answer IS NOT NULL`,
		&s.spendAnswer: `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE account = ? AND key = ?`,
		&s.spendAnswers: `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE (account, key) IN
			(SELECT account, key FROM answer WHERE answer IS NOT NULL AND at <= ? LIMIT ?)`,
		&s.ageAnswers:  ageAnswersText,
		&s.dropAnswers: `DELETE FROM answer WHERE (account, key) IN (SELECT account, key FROM answer WHERE at <= ? LIMIT ?)`,
		&s.noteLine:    `INSERT INTO audit (` + lineColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		&s.dropLines: `DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?)
			AND id <= (SELECT max(id) FROM (SELECT id, at FROM audit ORDER BY id LIMIT 4096) WHERE at < ?)
			AND id < (SELECT max(id) FROM audit)`,
		&s.addKey:    `INSERT INTO api_key (` + keyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		&s.revokeKey: `UPDATE api_key SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?`,
		&s.useKey:    `UPDATE api_key SET last_used_at = max(iif(last_used_at <= ?, last_used_at, 0), ?) WHERE id = ?`,
		&s.probe:     `INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at`,
		&s.nameLog:   `UPDATE store SET log_before = log, log = randomblob(16)`,
		// What a settle writes, under names that no write and no account has, and undone again.
		&s.probeBegin: `SAVEPOINT settle`,
		&s.probeLine:  `INSERT INTO audit (` + lineColumns + `) VALUES (char(1), 0, '', '', '', '', '', '', 0)`,
		&s.probeDevice: `INSERT INTO device (` + deviceColumns + `)
			VALUES (char(1), 1, 0, NULL, zeroblob(4096), zeroblob(4095), 0)`,
		&s.probeEnd:      `ROLLBACK TO settle`,
		&s.setSealingKey: `INSERT INTO sealing_key (id, name) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
	}
	s.scanning = &statements{}
	maps.Copy(texts, scanningTexts(s.scanning))
	err := prepare(ctx, conn, texts)
	s.scanning.lineOfCreate, s.scanning.insertDevice, s.scanning.keepAnswer = s.lineOfCreate, s.insertDevice, s.keepAnswer
	for statement := range texts {
		if *statement != nil {
			s.all = append(s.all, *statement)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// scanningTexts are the statements that differ where no index of the records can be relied on. They take the same values.
func scanningTexts(s *statements) map[**sql.Stmt]string {
	return map[**sql.Stmt]string{
		&s.lineOfReplace: insertLine + `EXISTS (SELECT 1 FROM device NOT INDEXED WHERE account = ? AND revision = ? AND body = coalesce(?, body))
			ON CONFLICT (write_id) DO NOTHING`,
		&s.setDevice: `UPDATE device NOT INDEXED SET (revision, body, vault) = (?1, ?4, ?5) WHERE account = ?7`,
		&s.writeBefore: `SELECT EXISTS (SELECT 1 FROM audit WHERE write_id = ?),
			coalesce((SELECT revision FROM device NOT INDEXED WHERE account = ?), 0)`,
		&s.claimed: `SELECT EXISTS (SELECT 1 FROM device NOT INDEXED
			WHERE serial = ? AND serial <> '' AND active = 1 AND account <> ?)`,
		&s.setClaim: `UPDATE device NOT INDEXED SET (serial, active) = (?, ?) WHERE account = ?`,
	}
}

func prepareQueries(ctx context.Context, db *sql.DB) (q queries, err error) {
	err = prepare(ctx, db, map[**sql.Stmt]string{
		&q.list: `SELECT ` + listedColumns + ` FROM device WHERE account > ? ORDER BY account LIMIT ?`,
		&q.countDoubt: `SELECT (SELECT count(*) FROM device WHERE in_doubt = 1)
			+ (SELECT count(*) FROM device WHERE in_doubt = 0 AND held_until < ?)
			+ (SELECT count(*) FROM device WHERE in_doubt = 0 AND held_until > ?)`,
		&q.auditAfter: `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step
			FROM audit WHERE id > ? ORDER BY id LIMIT ?`,
		&q.bySerial: `SELECT account, revision, in_doubt, held_until, body, x'' AS vault, unread_answers, serial, active, 0 AS former
			FROM device WHERE serial = ?1 AND serial <> ''
			UNION ALL SELECT ` + formerAsListed + ` FROM former_device WHERE serial = ?1 ORDER BY account, former`,
		&q.listFormer: `SELECT ` + formerAsListed + ` FROM former_device WHERE (serial, account) > (?, ?)
			ORDER BY serial, account LIMIT ?`,
		&q.countUnread: `SELECT coalesce(sum(unread_answers), 0) FROM device WHERE unread_answers > 0`,
		&q.listKeys:    `SELECT ` + keyColumns + ` FROM api_key ORDER BY created_at, id`,
		&q.sealingKey:  `SELECT name FROM sealing_key`,
		&q.countAnswers: `SELECT count(*) FROM answer WHERE answer IS NOT NULL
			AND ?1 IN (substr(answer, 1, length(?1)), substr(fingerprint, 1, length(?1)))`,
	})
	return q, err
}

// preparer is a pool of connections, or one of them.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func prepare(ctx context.Context, on preparer, texts map[**sql.Stmt]string) (err error) {
	for statement, text := range texts {
		if *statement, err = on.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("prepare %.40q: %w", text, err)
		}
	}
	return nil
}
