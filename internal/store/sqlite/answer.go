package sqlite

import (
	"bytes"
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// keeping stores the answer of a write.
func keeping(w otp.Write) change {
	account, k := w.Row.Account, *w.Response
	k.Fingerprint = bytes.Clone(k.Fingerprint)
	return func(on target) (refusal, failure error) {
		_, failure = on.execWith(keepAnswer, func(p *params) {
			p.text(string(account))
			p.text(k.Key)
			p.at(k.At)
			p.flag(k.IsOTP)
			p.blobOrNull(k.Fingerprint)
			p.blobOrNull(k.Answer.Reveal())
		})
		return nil, failure
	}
}

// DiscardResponse is as otp.Store says.
func (s *Store) DiscardResponse(ctx context.Context, account otp.Account, key string) error {
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		_, failure = on.exec(spendAnswer, string(account), key)
		return nil, failure
	})
}

// CountAnswersUnder counts the answers that are kept, and were sealed or fingerprinted with that text at the start.
func (s *Store) CountAnswersUnder(ctx context.Context, start []byte) (int, error) {
	return s.count(ctx, "count the answers that are kept", countAnswers, bytes.Clone(start))
}

// ForgetAnswers spends the keys of answers that are older than answerLife, and drops the keys that are older than
// keyLife, as deleteInSteps says. It spends the keys of those from the future, too, and counts their age from now on.
func (s *Store) ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error {
	answers, keys := s.now().Add(-answerLife).UnixMicro(), s.now().Add(-keyLife).UnixMicro()
	return s.deleteInSteps(ctx, func(on target) (more bool, failure error) {
		dropped, failure := on.exec(dropAnswers, keys, stepRows)
		if failure != nil {
			return false, failure
		}
		now := s.now()
		aged, failure := on.exec(ageAnswers, now.UnixMicro(), now.Add(otp.ClockTolerance).UnixMicro(), stepRows)
		if failure != nil {
			return false, failure
		}
		spent, failure := on.exec(spendAnswers, answers, stepRows)
		return max(dropped, aged, spent) == stepRows, failure
	})
}
