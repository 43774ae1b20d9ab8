// Package seal encrypts the secrets of devices before any store sees them. The secrets of a row, and everything else that a Keyring
// seals, leave the process only as ciphertext that is bound to the account and the purpose.
//
// A reader of the store, or of a copy of it, learns no key of a device; a writer to the store cannot make data of one account pass for
// another's. The package does not protect two things. The body of a row is readable and not authenticated. And old secrets of the
// account can be opened like the newest, so an old row can be put back.
//
// The package must never seal under a key that it has not found in its source, never make a key where an older one may be missing, and
// never put a key or what it seals into an error.
package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// errUnread means that a Store was made without keys.
var errUnread = errors.New("no sealing keys were read")

// Store is an otp.Store whose secrets are sealed in the inner store, and opened for its callers.
//
// A repeat of a Write is sealed again, with another nonce and perhaps another key. That leaves the promise alone that the
// same Write twice is the same as once: the inner store recognizes a Write by its ID, and keeps the secrets that came first.
type Store struct {
	inner   otp.Store
	keyring *Keyring // nil: no secrets are opened, and only those that are sealed can be written
}

var _ otp.Store = (*Store)(nil)

// New returns a Store that seals what it stores in the inner store.
func New(inner otp.Store, keyring *Keyring) *Store { return &Store{inner, keyring} }

// NewUnopened returns a Store without keys, for what works on records and leaves their secrets as they are.
func NewUnopened(inner otp.Store) *Store { return &Store{inner, nil} }

// Fetch returns the row with its secrets opened. Besides the errors of the inner store there are otp.ErrSealed, when the
// key of the secrets is missing, and otp.ErrDamaged; both come with the store's time, and with the row as it is, Unopened.
func (s *Store) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, now, err := s.inner.Fetch(ctx, account)
	if err != nil {
		return row, now, err // of an account without a row, the epoch of the store
	}
	row, err = s.keyring.openRow(row)
	return row, now, err
}

// AppendAudit is as otp.Store says.
func (s *Store) AppendAudit(ctx context.Context, lines []otp.AuditEntry) error {
	return s.inner.AppendAudit(ctx, lines)
}

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	return s.inner.BySerial(ctx, serial)
}

// List returns rows with their secrets sealed, as otp.Store says.
func (s *Store) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	return s.inner.List(ctx, after, limit)
}

// Create stores the write with its secrets and its response sealed under the current key. Secrets that were not opened stay as they
// is.
func (s *Store) Create(ctx context.Context, w otp.Write) error {
	return s.keyring.sealed(ctx, w, s.inner.Create)
}

// Replace stores the write with its secrets and its response sealed under the current key. Secrets that were not opened stay as they
// is.
func (s *Store) Replace(ctx context.Context, w otp.Write) error {
	return s.keyring.sealed(ctx, w, s.inner.Replace)
}

// sealed calls store with the write as it may be stored.
func (r *Keyring) sealed(ctx context.Context, w otp.Write, store func(context.Context, otp.Write) error) error {
	w, err := r.sealWrite(w)
	if err != nil {
		return err
	}
	return store(ctx, w)
}

// sealWrite returns the write as it may be stored.
func (r *Keyring) sealWrite(w otp.Write) (_ otp.Write, err error) {
	if w.SameSecrets {
		w.Row.Unopened = false
	} else if w.Row, err = r.sealRow(w.Row); err != nil {
		return w, err
	}
	w.Response = r.sealKeep(w.Row.Account, w.Response)
	return w, nil
}

// sealRow returns the row as it may be stored. Empty secrets stay empty: there is nothing to hide. Without a keyring, the error
// wraps otp.ErrNotApplied.
func (r *Keyring) sealRow(row otp.Row) (otp.Row, error) {
	switch {
	case row.Unopened:
		row.Unopened = false
	case row.Secrets.IsEmpty():
	case r == nil:
		return otp.Row{}, fmt.Errorf("%w: %w", otp.ErrNotApplied, errUnread)
	default:
		row.Secrets = secret.NewBytes(r.Seal(Secrets, row.Account, row.Secrets))
	}
	return row, nil
}

// openRow undoes sealRow. With an error it returns the row as it is, Unopened.
func (r *Keyring) openRow(row otp.Row) (otp.Row, error) {
	if row.Secrets.IsEmpty() {
		return row, nil
	}
	vault, err := r.openVault(row)
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("the record of account %q %w: %w", row.Account, otp.ErrDamaged, err)
		}
		row.Unopened = true
		return row, err
	}
	row.Secrets = vault
	return row, nil
}

func (r *Keyring) openVault(row otp.Row) (secret.Bytes, error) {
	if r == nil {
		return secret.Bytes{}, fmt.Errorf("%w: %w", otp.ErrSealed, errUnread)
	}
	return r.Open(Secrets, row.Account, row.Secrets.Reveal())
}
