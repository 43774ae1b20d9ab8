package sqlite

const (
	lineColumns   = `write_id, at, account, caller, transaction_id, action, stage, outcome, step`
	deviceColumns = `account, revision, in_doubt, held_until, body, vault, unread_answers, disabled`
	listedColumns = deviceColumns + `, serial, active, epoch`
	// inEpoch are the store's epoch, which is one row, and listedColumns.
	inEpoch       = `number, since, ` + listedColumns + ` FROM doubt_epoch, device WHERE one = 1`
	formerColumns = `serial, account, revision, body`
	// formerAsListed are a former device in listedColumns, and that it is one.
	formerAsListed = `account, revision, 0, NULL, body, x'', 0, 0, serial, 0, 0, 1`
	answerColumns  = `account, key, at, is_otp, fingerprint, answer`
	keyColumns     = `id, hash, account, prefix, scopes, created_at, expires_at, revoked_at, last_used_at`
)

// What a job reads on the writer's connection. These are no joins: SQLite prepares a join again for each value that it is run with.
const (
	fetchRow      = `SELECT ` + listedColumns + ` FROM device WHERE account = ?`
	fetchResponse = `SELECT at, fingerprint, answer FROM answer WHERE account = ? AND key = ?`
	readEpoch     = `SELECT number, since, cause, ` + keysVersion + ` FROM doubt_epoch`
	findKey       = `SELECT ` + keyColumns + `, ` + keysVersion + ` FROM api_key WHERE id = ?`
	// keysDrawn says whether each change of an API key draws a new version of the keys.
	keysDrawn = `SELECT EXISTS (SELECT 1 FROM keys_version) AND 3 = (SELECT count(*) FROM sqlite_schema
		WHERE type = 'trigger' AND tbl_name = 'api_key' AND name IN ('key_added', 'key_changed', 'key_deleted'))`
	keysVersion     = `coalesce((SELECT version FROM keys_version), 0)`
	readDataVersion = `PRAGMA data_version`
)

// What the writer runs for a record. Of the pairs, the second text is for a settle where an index of the records is damaged: it finds
// them without, and changes no column that has one, unless the write claims a device. What it leaves stale there is for counting alone.
const (
	insertDevice = `INSERT INTO device (` + deviceColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(?8, 0))
		ON CONFLICT (account) DO NOTHING`

	fits          = ` WHERE account = ?1 AND revision = ?2 - 1 AND body = coalesce(?9, body)`
	replaceDevice = `UPDATE device SET (revision, in_doubt, held_until, body, vault, unread_answers, disabled) =
		(?2, ?3, ?4, ?5, coalesce(?6, vault), coalesce(?7, unread_answers), coalesce(?8, disabled))` + fits
	replaceByScan = `UPDATE device NOT INDEXED SET (revision, in_doubt, held_until, body, vault, disabled) =
		(?2, ?3, ?4, ?5, coalesce(?6, vault), coalesce(?8, disabled))` + fits

	insertLine = `INSERT INTO audit (` + lineColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

	fromDevice       = `coalesce((SELECT revision FROM device WHERE account = ?2), 0)`
	fromDeviceByScan = `coalesce((SELECT revision FROM device NOT INDEXED WHERE account = ?2), 0)`
	wroteBefore      = `SELECT EXISTS (SELECT 1 FROM audit WHERE write_id = ?1), `

	findWrite       = wroteBefore + fromDevice
	findWriteByScan = wroteBefore + fromDeviceByScan

	sameRow        = ` WHERE account = ?1 AND body = ?2 AND vault = ?3 AND disabled = coalesce(?4, disabled)), `
	findSame       = `SELECT EXISTS (SELECT 1 FROM device` + sameRow + `coalesce((SELECT revision FROM device WHERE account = ?1), 0)`
	findSameByScan = `SELECT EXISTS (SELECT 1 FROM device NOT INDEXED` + sameRow +
		`coalesce((SELECT revision FROM device NOT INDEXED WHERE account = ?1), 0)`

	claimedBy         = ` WHERE serial = ? AND serial <> '' AND active = 1 AND account <> ?)`
	findClaim         = `SELECT EXISTS (SELECT 1 FROM device` + claimedBy
	findClaimByScan   = `SELECT EXISTS (SELECT 1 FROM device NOT INDEXED` + claimedBy
	updateClaim       = `UPDATE device SET (serial, active) = (?, ?) WHERE account = ?`
	updateClaimByScan = `UPDATE device NOT INDEXED SET (serial, active) = (?, ?) WHERE account = ?`

	updateEpoch       = `UPDATE device SET epoch = ? WHERE account = ?`
	updateEpochByScan = `UPDATE device NOT INDEXED SET epoch = ? WHERE account = ?`

	// keepFormer keeps what the row has counted of its device that a write replaces which claims another one, if it fits.
	keepFormer = `INSERT INTO former_device (` + formerColumns + `)
		SELECT ` + formerColumns + ` FROM device WHERE account = ? AND revision = ? AND body = coalesce(?, body) AND serial NOT IN ('', ?)
		ON CONFLICT (serial, account) DO UPDATE SET (revision, body) = (excluded.revision, excluded.body)`

	keepAnswer = `INSERT INTO answer (` + answerColumns + `) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, key) DO UPDATE
		SET (at, is_otp, fingerprint, answer) = (excluded.at, excluded.is_otp, excluded.fingerprint, excluded.answer)
		WHERE excluded.is_otp AND NOT answer.is_otp AND answer.answer IS NOT NULL`
)

// What the writer runs otherwise.
const (
	spendAnswer  = `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE account = ? AND key = ?`
	spendAnswers = `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE (account, key) IN
		(SELECT account, key FROM answer WHERE answer IS NOT NULL AND at <= ? LIMIT ?)`
	ageAnswers = `UPDATE answer SET (at, fingerprint, answer) = (?, NULL, NULL) WHERE (account, key) IN
		(SELECT account, key FROM answer WHERE at > ? LIMIT ?)`
	dropAnswers = `DELETE FROM answer WHERE (account, key) IN (SELECT account, key FROM answer WHERE at <= ? LIMIT ?)`

	dropLines = `DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?)
		AND id <= (SELECT max(id) FROM (SELECT id, at FROM audit ORDER BY id LIMIT 4096) WHERE at < ?)
		AND id < (SELECT max(id) FROM audit)`

	insertKey       = `INSERT INTO api_key (` + keyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
	revokeKey       = `UPDATE api_key SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?`
	drawKeysVersion = `UPDATE keys_version SET version = random()`
	useKey          = `UPDATE api_key SET last_used_at = max(iif(last_used_at <= ?, last_used_at, 0), ?) WHERE id = ?`

	setSealingKey = `INSERT INTO sealing_key (id, name) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name`
	raiseEpoch    = `UPDATE doubt_epoch SET (number, since, cause) = (number + 1, ?, ?)`
	nameLog       = `UPDATE store SET log_before = log, log = randomblob(16)`
	writeProbe    = `INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at`

	// What a settle writes, under names that no write and no account has.
	probeLine   = `INSERT INTO audit (` + lineColumns + `) VALUES (char(1), 0, '', '', '', '', '', '', 0)`
	probeDevice = `INSERT INTO device (` + deviceColumns + `) VALUES (char(1), 1, 0, NULL, zeroblob(4096), zeroblob(4095), 0, 0)`
)

// What the reader runs.
const (
	listDevices = `SELECT ` + inEpoch + ` AND account > ? ORDER BY account LIMIT ?`
	listDevice  = `SELECT ` + inEpoch + ` AND account = ?`
	auditAfter  = `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step
		FROM audit WHERE id > ? ORDER BY id LIMIT ?`
	listBySerial = `SELECT account, revision, in_doubt, held_until, body, x'' AS vault, unread_answers, disabled, serial, active, epoch,
		0 AS former FROM device WHERE serial = ?1 AND serial <> ''
		UNION ALL SELECT ` + formerAsListed + ` FROM former_device WHERE serial = ?1 ORDER BY account, former`
	listFormer = `SELECT ` + formerAsListed + ` FROM former_device WHERE (serial, account) > (?, ?)
		ORDER BY serial, account LIMIT ?`
	countUnread  = `SELECT coalesce(sum(unread_answers), 0) FROM device WHERE unread_answers > 0`
	listKeys     = `SELECT ` + keyColumns + ` FROM api_key ORDER BY created_at, id`
	sealingKey   = `SELECT name FROM sealing_key`
	countAnswers = `SELECT count(*) FROM answer WHERE answer IS NOT NULL
		AND ?1 IN (substr(answer, 1, length(?1)), substr(fingerprint, 1, length(?1)))`
)

// writerStatements and readerStatements return the statements of the two connections of a store. They are prepared when
// it is opened, so that a store which lacks a table is not.
func writerStatements() []string {
	return []string{
		fetchRow, fetchResponse, readEpoch, findKey, insertDevice, replaceDevice, replaceByScan, insertLine, findWrite, findWriteByScan,
		findSame, findSameByScan, findClaim, findClaimByScan, updateClaim, updateClaimByScan, updateEpoch, updateEpochByScan, raiseEpoch,
		keepFormer, listBySerial, keepAnswer, spendAnswer, spendAnswers, ageAnswers,
		dropAnswers, dropLines, insertKey, revokeKey, drawKeysVersion, useKey, setSealingKey, nameLog, writeProbe, probeLine, probeDevice,
	}
}

func readerStatements() []string {
	return []string{
		listDevices, readEpoch, auditAfter, listBySerial, listFormer, countUnread, listKeys, keysDrawn, sealingKey, countAnswers,
	}
}
