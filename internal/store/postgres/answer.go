package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const (
	answerColumns = `account, key, at, is_otp, fingerprint, answer`

	// keepAnswer stores the answer of a write if the statement before it, named written, has stored the row.
	keepAnswer = `INSERT INTO answer (` + answerColumns + `) SELECT $1, $16, $17, $18, $19, $20 FROM written
		ON CONFLICT (account, key) DO UPDATE
		SET (at, is_otp, fingerprint, answer) = (excluded.at, excluded.is_otp, excluded.fingerprint, excluded.answer)
		WHERE excluded.is_otp AND NOT answer.is_otp AND answer.answer IS NOT NULL`
)

func keepArgs(k *otp.Keep) []any {
	return []any{k.Key, k.At.UnixMicro(), k.IsOTP, k.Fingerprint, k.Answer.Reveal()}
}

// Recall is as otp.Store says.
func (s *Store) Recall(ctx context.Context, account otp.Account, key string) (otp.Kept, error) {
	var at int64
	var fingerprint, answer []byte
	const recall = `SELECT at, fingerprint, answer FROM answer WHERE account = $1 AND key = $2`
	switch err := s.pool.QueryRow(ctx, recall, string(account), key).Scan(&at, &fingerprint, &answer); {
	case errors.Is(err, pgx.ErrNoRows):
		return otp.Kept{}, otp.ErrNotFound
	case err != nil:
		return otp.Kept{}, describe("recall an answer", err)
	}
	if answer != nil {
		if err := s.standbysHaveAll(ctx); err != nil {
			return otp.Kept{}, fmt.Errorf("recall an answer: %w", err)
		}
	}
	return otp.Kept{At: time.UnixMicro(at).UTC(), Fingerprint: fingerprint, Answer: secret.NewBytes(answer)}, nil
}

// Spend is as otp.Store says.
func (s *Store) Spend(ctx context.Context, account otp.Account, key string) error {
	const spend = `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE account = $1 AND key = $2`
	if _, err := s.pool.Exec(ctx, spend, string(account), key); err != nil {
		return describe("spend the key of an answer", err)
	}
	return nil
}

// ForgetAnswers spends the keys of answers that are older than answerLife, and drops the keys that are older than
// keyLife.
func (s *Store) ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error {
	const forget = `WITH dropped AS (DELETE FROM answer WHERE at <= ` + clock + ` - $2)
		UPDATE answer SET (fingerprint, answer) = (NULL, NULL)
		WHERE answer IS NOT NULL AND at <= ` + clock + ` - $1 AND at > ` + clock + ` - $2`
	if _, err := s.pool.Exec(ctx, forget, answerLife.Microseconds(), keyLife.Microseconds()); err != nil {
		return describe("forget answers", err)
	}
	return nil
}
