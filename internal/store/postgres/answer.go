package postgres

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
)

const (
	answerColumns = `account, key, at, is_otp, fingerprint, answer`

	// orReplaceAnswer lets an OTP take the place of a response that is none, and no other response.
	orReplaceAnswer = `ON CONFLICT (account, key) DO UPDATE
		SET (at, is_otp, fingerprint, answer) = (excluded.at, excluded.is_otp, excluded.fingerprint, excluded.answer)
		WHERE excluded.is_otp AND NOT answer.is_otp AND answer.answer IS NOT NULL`

	// keepAnswer stores the response of a write if the statement before it, named written, has stored the row.
	keepAnswer = `INSERT INTO answer (` + answerColumns + `) SELECT $1, $22, $23, $24, $25, $26 FROM written
		` + orReplaceAnswer + ` RETURNING 1`
)

// CountAnswersUnder counts the answers that are kept, and were sealed or fingerprinted with that text at the start.
func (s *Store) CountAnswersUnder(ctx context.Context, start []byte) (count int, err error) {
	const countAnswers = `SELECT count(*) FROM answer WHERE answer IS NOT NULL
		AND $1::bytea IN (substr(answer, 1, length($1)), substr(fingerprint, 1, length($1)))`
	err = s.queryRow(ctx, s.limits.others, "count the answers that are kept", countAnswers, []any{start}, []any{&count})
	return count, err
}

// DiscardResponse is as otp.Store says.
func (s *Store) DiscardResponse(ctx context.Context, account otp.Account, key string) error {
	const spend = `UPDATE answer SET (fingerprint, answer) = (NULL, NULL) WHERE account = $1 AND key = $2 AND ` + ownSession
	return s.exec(ctx, s.limits.singles, "spend the key of an answer", spend, string(account), key)
}
