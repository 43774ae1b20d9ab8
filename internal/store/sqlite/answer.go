package sqlite

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// keep stores the answer of a write, within its transaction.
func keep(ctx context.Context, on *statements, w otp.Write) error {
	k := w.Keep
	_, err := on.keepAnswer.ExecContext(ctx, string(w.Row.Account), k.Key, k.At.UnixMicro(), k.IsOTP, k.Fingerprint, k.Answer.Reveal())
	return err
}

// Spend is as otp.Store says.
func (s *Store) Spend(ctx context.Context, account otp.Account, key string) error {
	return s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		_, failure = on.spendAnswer.ExecContext(ctx, string(account), key)
		return nil, failure
	})
}

// forgetAtOnce bounds how many answers one transaction forgets, and so how long other writes wait for it.
const forgetAtOnce = 500

// ForgetAnswers spends the keys of answers that are older than answerLife, and drops the keys that are older than
// keyLife. There may be more to do when it returns; it is called again and again.
func (s *Store) ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error {
	answers, keys := now().Add(-answerLife).UnixMicro(), now().Add(-keyLife).UnixMicro()
	var due bool
	if err := s.read.answersDue.QueryRowContext(ctx, answers, keys).Scan(&due); err != nil || !due {
		return err
	}
	return s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		if _, failure = on.dropAnswers.ExecContext(ctx, keys, forgetAtOnce); failure == nil {
			_, failure = on.spendAnswers.ExecContext(ctx, answers, forgetAtOnce)
		}
		return nil, failure
	})
}
