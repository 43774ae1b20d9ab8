package seal

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// answerPurpose binds a kept answer to its key: another call of the account must not be answered with it.
func answerPurpose(key string) Purpose { return Purpose("answer " + key) }

// FetchWithResponse returns the row with its vault opened and the stored response with its answer opened; see Fetch for
// its errors. A response that is damaged counts as spent: it can never be returned, and the call must not be made again. One whose key
// is missing is an error, because the key may be on its way to this process.
func (s *Store) FetchWithResponse(
	ctx context.Context, account otp.Account, key string,
) (otp.Row, *otp.Kept, time.Time, error) {
	row, kept, now, err := s.inner.FetchWithResponse(ctx, account, key)
	if kept != nil && !kept.Answer.IsEmpty() {
		opened := *kept
		var sealed error
		opened.Answer, sealed = s.keyring.Open(answerPurpose(key), account, kept.Answer.Reveal())
		switch {
		case errors.Is(sealed, ErrDamaged):
			opened = otp.Kept{At: kept.At}
		case sealed != nil:
			return otp.Row{}, nil, now, sealed
		}
		kept = &opened
	}
	if err == nil {
		row, err = s.keyring.openRow(row)
	}
	return row, kept, now, err
}

// Spend is as otp.Store says.
func (s *Store) Spend(ctx context.Context, account otp.Account, key string) error {
	return s.inner.Spend(ctx, account, key)
}

// sealKeep returns the answer as it may lie in a store.
func (r *Keyring) sealKeep(account otp.Account, keep *otp.Keep) *otp.Keep {
	if keep == nil {
		return nil
	}
	sealed := *keep
	sealed.Answer = secret.NewBytes(r.Seal(answerPurpose(keep.Key), account, keep.Answer))
	return &sealed
}

// Body returns what a call of the account asks, for fingerprints that are good for its key alone.
func (r *Keyring) Body(account otp.Account, key string, text secret.Bytes) otp.Fingerprinted {
	return body{r, Purpose("body " + key + " of " + string(account)), text}
}

type body struct {
	keyring *Keyring
	purpose Purpose
	text    secret.Bytes
}

// Fingerprint is an HMAC under the keyring's current key.
func (b body) Fingerprint() []byte { return b.keyring.MAC(b.purpose, b.text.Reveal()) }

// Has is as otp.Fingerprinted says.
func (b body) Has(fingerprint []byte) (bool, error) {
	return b.keyring.CheckMAC(b.purpose, b.text.Reveal(), fingerprint)
}
