package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// readTask is a look-up that is sent with others: of an API key, or else of a record.
type readTask struct {
	keyID  string
	apiKey *authn.Key // nil: there is none
	fetch  fetched

	keysVersion authn.Version // in which the key was read
}

// fetched is what is read of an account and of a call.
type fetched struct {
	row   otp.Row // with the account that is asked for
	key   string  // of the call
	found bool
	kept  *otp.StoredResponse
	now   time.Time

	keysVersion otp.KeysVersion
}

func noKey(*readTask) string { return "" }

const (
	keysVersion = `coalesce((SELECT version FROM keys_version), 0)`

	fetchBegin = `SELECT n, ` + clock + `, d.account IS NOT NULL, coalesce(d.revision, 0), coalesce(d.in_doubt, false), d.held_until,
		coalesce(d.unread_answers, 0), coalesce(d.serial, ''), coalesce(d.active, false), coalesce(d.disabled, false),
		a.account IS NOT NULL, coalesce(a.at, 0), coalesce(d.epoch, 0), e.number, e.since, ` + keysVersion + `, `
	fetchEnd = ` FROM doubt_epoch e, unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (account, key, n)
		LEFT JOIN device d USING (account) LEFT JOIN answer a ON a.account = wanted.account AND a.key = wanted.key`

	fetchRows = fetchBegin + `d.body, d.vault, a.fingerprint, a.answer` + fetchEnd
	// fetchRemains is fetchRows without what is stored apart from the row when it is large, and may be damaged there.
	fetchRemains = fetchBegin + `''::bytea, ''::bytea, NULL::bytea, NULL::bytea` + fetchEnd

	keysByID = `SELECT ` + keyColumns + `, ` + keysVersion + ` FROM api_key WHERE id = ANY($1::text[])`
)

// sendReads looks up what a batch asks for, in one round trip.
func (s *Store) sendReads(batch []*job[readTask]) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var fetches []*fetched
	keys := map[string][]*job[readTask]{}
	for _, j := range batch {
		if j.task.keyID != "" {
			keys[j.task.keyID] = append(keys[j.task.keyID], j)
		} else {
			fetches = append(fetches, &j.task.fetch)
		}
	}
	err := s.run(ctx, s.limits.lookups, func(ctx context.Context, conn *pgx.Conn) error {
		statements := &pgx.Batch{}
		if len(fetches) > 0 {
			queueFetches(statements, fetchRows, fetches)
		}
		if len(keys) > 0 {
			queueKeys(statements, keys)
		}
		return conn.SendBatch(ctx, statements).Close()
	})
	if err != nil {
		for _, j := range batch {
			j.err = err
		}
	}
}

func queueFetches(statements *pgx.Batch, statement string, fetches []*fetched) {
	var accounts, keys []string
	for _, f := range fetches {
		accounts, keys = append(accounts, string(f.row.Account)), append(keys, f.key)
	}
	statements.Queue(statement, accounts, keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scanFetched(rows, fetches); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// scanFetched reads a row of fetchRows into the fetch that asked for it.
func scanFetched(rows pgx.Rows, fetches []*fetched) error {
	var n, at, answeredAt, since int64
	var revision, epoch, storeEpoch uint64
	var found, inDoubt, disabled, answered bool
	var heldUntil *int64
	var body, vault, fingerprint, answer []byte
	var unread int
	var claim otp.Claim
	var keysVersion otp.KeysVersion
	err := rows.Scan(&n, &at, &found, &revision, &inDoubt, &heldUntil, &unread, &claim.Serial, &claim.Active, &disabled, &answered,
		&answeredAt, &epoch, &storeEpoch, &since, &keysVersion, &body, &vault, &fingerprint, &answer)
	if err != nil {
		return err
	}
	f := fetches[n-1]
	f.now, f.found, f.keysVersion = time.UnixMicro(at).UTC(), found, keysVersion
	f.row.Revision, f.row.InDoubt, f.row.LeasedUntil = revision, inDoubt, timeOrZero(heldUntil)
	f.row.Epoch, f.row.StoreEpoch = epoch, otp.Epoch{Number: storeEpoch, Since: sinceOf(since)}
	f.row.Body, f.row.Secrets, f.row.UnreadAnswers, f.row.Claim, f.row.Disabled = body, secret.NewBytes(vault), unread, claim, disabled
	if answered {
		f.kept = &otp.StoredResponse{At: time.UnixMicro(answeredAt).UTC(), Fingerprint: fingerprint, Answer: secret.NewBytes(answer)}
	}
	return nil
}

func queueKeys(statements *pgx.Batch, wanted map[string][]*job[readTask]) {
	var ids []string
	for id := range wanted {
		ids = append(ids, id)
	}
	statements.Queue(keysByID, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			key, version, err := scanKey(rows)
			if key.ID == "" {
				return err
			}
			for _, j := range wanted[key.ID] { // a key that cannot be read is a fault of that key alone
				j.task.apiKey, j.task.keysVersion, j.err = &key, version, err
			}
		}
		return rows.Err()
	})
}

// fetchAlone is the fetch of one record, and of what remains of it if it is damaged.
func (s *Store) fetchAlone(ctx context.Context, f fetched) (fetched, error) {
	fetch := func(statement string) error {
		return s.run(ctx, s.limits.lookups, func(ctx context.Context, conn *pgx.Conn) error {
			statements := &pgx.Batch{}
			queueFetches(statements, statement, []*fetched{&f})
			return conn.SendBatch(ctx, statements).Close()
		})
	}
	err := fetch(fetchRows)
	if isDamage(err) {
		err = fetch(fetchRemains)
	}
	return f, err
}
