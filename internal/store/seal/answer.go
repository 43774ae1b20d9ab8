package seal

import (
	"context"
	"errors"
	"fmt"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// answerPurpose binds a kept answer to its key: another call of the account must not be answered with it.
func answerPurpose(key string) Purpose { return Purpose("answer " + key) }

// Update is as otp.Store says: decide gets the row's secrets and the response opened, or the Fault that says why one of them does not
// open. A response that is damaged counts as spent: it can never be returned, and the call must not be made again. One whose key
// is missing is a Fault, because the key may be on its way to this process.
//
// The key file is not read while the store waits for decide: that could take as long as its file system likes. A key that is
// missing there is looked for afterwards, and then everything begins again.
func (s *Store) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	if s.keyring == nil {
		return s.update(ctx, account, key, nil, decide)
	}
	s.keyring.current() // which reads the file if that is due
	keys := s.keyring.unwatched()
	d, err := s.update(ctx, account, key, keys, func(found otp.Snapshot) otp.Decision {
		if errors.Is(found.Fault, otp.ErrSealed) {
			return otp.Decision{Result: keyMissing{}}
		}
		return decide(found)
	})
	if _, missing := d.Result.(keyMissing); !missing || err != nil {
		return d, err
	}
	s.keyring.refresh()
	return s.update(ctx, account, key, s.keyring.unwatched(), decide)
}

// keyMissing is the Result of a decision that lacks a key.
type keyMissing struct{}

// update is Update with the keys as they are.
func (s *Store) update(
	ctx context.Context, account otp.Account, key string, keys *Keyring, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	type result struct {
		decision otp.Decision // as decide made it
		fault    error        // why its write cannot be sealed
	}
	d, err := s.inner.Update(ctx, account, key, func(found otp.Snapshot) otp.Decision {
		decided := decide(keys.openSnapshot(found, key))
		if decided.Write == nil {
			return otp.Decision{Result: result{decided, nil}}
		}
		w, err := keys.sealWrite(*decided.Write)
		if err != nil {
			return otp.Decision{Result: result{decided, err}}
		}
		return otp.Decision{Write: &w, Result: result{decided, nil}, Early: decided.Early}
	})
	r, _ := d.Result.(result)
	r.decision.Pending = d.Pending
	return r.decision, errors.Join(err, r.fault)
}

// openSnapshot returns the snapshot with what is sealed in it opened.
func (r *Keyring) openSnapshot(found otp.Snapshot, key string) otp.Snapshot {
	found.Row, found.Fault = r.openRow(found.Row)
	if found.Response == nil || found.Response.Answer.IsEmpty() {
		return found
	}
	opened := *found.Response
	var err error
	if r == nil {
		err = fmt.Errorf("%w: %w", otp.ErrSealed, errUnread)
	} else {
		opened.Answer, err = r.Open(answerPurpose(key), found.Row.Account, opened.Answer.Reveal())
	}
	switch {
	case errors.Is(err, ErrDamaged):
		opened = otp.StoredResponse{At: opened.At}
	case err != nil: // whatever is wrong with the row
		found.Row.Unopened, found.Fault = false, err
	}
	found.Response = &opened
	return found
}

// DiscardResponse is as otp.Store says.
func (s *Store) DiscardResponse(ctx context.Context, account otp.Account, key string) error {
	return s.inner.DiscardResponse(ctx, account, key)
}

// sealKeep returns the answer as it may lie in a store.
func (r *Keyring) sealKeep(account otp.Account, keep *otp.KeyedResponse) *otp.KeyedResponse {
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
