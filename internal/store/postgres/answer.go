package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const (
	answerColumns = `account, key, at, is_otp, fingerprint, answer`

	// keepAnswer stores the answer of a write if the statement before it, named written, has stored the row.
	keepAnswer = `INSERT INTO answer (` + answerColumns + `) SELECT $1, $19, $20, $21, $22, $23 FROM written
		ON CONFLICT (account, key) DO UPDATE
		SET (at, is_otp, fingerprint, answer) = (excluded.at, excluded.is_otp, excluded.fingerprint, excluded.answer)
		WHERE excluded.is_otp AND NOT answer.is_otp AND answer.answer IS NOT NULL`
)

func keepArgs(k *otp.Keep) []any {
	return []any{k.Key, k.At.UnixMicro(), k.IsOTP, k.Fingerprint, k.Answer.Reveal()}
}

// FetchWithResponse is as otp.Store says: one statement, and so one snapshot. The time is the database's.
func (s *Store) FetchWithResponse(
	ctx context.Context, account otp.Account, key string,
) (otp.Row, *otp.Kept, time.Time, error) {
	const fetch = `SELECT ` + clock + `, d.account IS NOT NULL, coalesce(d.revision, 0), coalesce(d.in_doubt, false), d.held_until,
		d.body, d.vault,
		a.account IS NOT NULL, coalesce(a.at, 0), a.fingerprint, a.answer
		FROM (VALUES ($1::text)) wanted (account) LEFT JOIN device d USING (account)
		LEFT JOIN answer a ON a.account = wanted.account AND a.key = $2`
	row := otp.Row{Account: account}
	var at, answeredAt int64
	var found, answered bool
	var heldUntil *int64
	var vault, fingerprint, answer []byte
	err := s.queryRow(ctx, s.lanes.lookups, "fetch the record of an account", fetch, []any{string(account), key}, []any{
		&at, &found, &row.Revision, &row.InDoubt, &heldUntil, &row.Body, &vault, &answered, &answeredAt, &fingerprint, &answer,
	})
	if err != nil {
		return otp.Row{}, nil, time.Time{}, err
	}
	if answer != nil {
		if err := s.standbysHaveAll(ctx); err != nil {
			return otp.Row{}, nil, time.Time{}, fmt.Errorf("fetch a stored response: %w", err)
		}
	}
	var kept *otp.Kept
	if answered {
		kept = &otp.Kept{At: time.UnixMicro(answeredAt).UTC(), Fingerprint: fingerprint, Answer: secret.NewBytes(answer)}
	}
	now := time.UnixMicro(at).UTC()
	if !found {
		return otp.Row{}, kept, now, otp.ErrNotFound
	}
	row.HeldUntil, row.Vault = timeOrZero(heldUntil), secret.NewBytes(vault)
	return row, kept, now, nil
}

// Spend is as otp.Store says.
func (s *Store) Spend(ctx context.Context, account otp.Account, key string) error {
	const spend = `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE account = $1 AND key = $2`
	return s.exec(ctx, s.lanes.writes, "spend the key of an answer", spend, string(account), key)
}

// ForgetAnswers spends the keys of answers that are older than answerLife, and drops the keys that are older than
// keyLife.
func (s *Store) ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error {
	const forget = `WITH dropped AS (DELETE FROM answer WHERE at <= ` + clock + ` - $2)
		UPDATE answer SET (fingerprint, answer) = (NULL, NULL)
		WHERE answer IS NOT NULL AND at <= ` + clock + ` - $1 AND at > ` + clock + ` - $2`
	return s.exec(ctx, s.lanes.others, "forget answers", forget, answerLife.Microseconds(), keyLife.Microseconds())
}
