// Package seal encrypts device state at rest, whatever the store: what a Store keeps in the vault of a row, and whatever
// else a Ring is asked to seal, leaves the process as ciphertext only, bound to its account and its purpose.
//
// Who reads the store, or a copy of it, learns no key of a device; who writes to it can pass off nothing of one account
// as another's. Two things it does not do. The body of a row stays readable and is not authenticated. And a row can be
// put back as it once was: an old vault of the account opens as well as the newest.
//
// The package must never seal under a key that it has not found in its source, never make a key where an older one may
// be missing, and never let a key or what it seals into an error.
package seal

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Store is an otp.Store whose vaults are sealed in the store beneath, and in the clear above.
//
// A repeat of a Write is sealed anew, with another nonce and perhaps another key. That leaves the promise alone that the
// same Write twice is the same as once: the store beneath knows a Write by its ID, and keeps the vault that came first.
type Store struct {
	beneath otp.Store
	ring    *Ring
}

var _ otp.Store = (*Store)(nil)

// New puts the ring before the store beneath.
func New(beneath otp.Store, ring *Ring) *Store { return &Store{beneath, ring} }

// Fetch gives the row with its vault opened. Besides the errors of the store beneath there are otp.ErrSealed, when the
// key of the vault is missing, and ErrDamaged; both come with the store's time.
func (s *Store) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, now, err := s.beneath.Fetch(ctx, account)
	if err != nil {
		return otp.Row{}, now, err
	}
	row, err = s.ring.openRow(row)
	return row, now, err
}

// Note is as otp.Store says.
func (s *Store) Note(ctx context.Context, lines []otp.Line) error { return s.beneath.Note(ctx, lines) }

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	return s.beneath.BySerial(ctx, serial)
}

// Create stores the write with its vault sealed under the current key.
func (s *Store) Create(ctx context.Context, w otp.Write) error {
	w.Row = s.ring.sealRow(w.Row)
	return s.beneath.Create(ctx, w)
}

// Replace stores the write with its vault sealed under the current key.
func (s *Store) Replace(ctx context.Context, w otp.Write) error {
	w.Row, w.Keep = s.ring.sealRow(w.Row), s.ring.sealKeep(w.Row.Account, w.Keep)
	return s.beneath.Replace(ctx, w)
}

// sealRow gives the row as it may lie in a store. An empty vault stays empty: there is nothing to hide.
func (r *Ring) sealRow(row otp.Row) otp.Row {
	if !row.Vault.IsEmpty() {
		row.Vault = secret.NewBytes(r.Seal(Vault, row.Account, row.Vault))
	}
	return row
}

// openRow undoes sealRow.
func (r *Ring) openRow(row otp.Row) (otp.Row, error) {
	if row.Vault.IsEmpty() {
		return row, nil
	}
	vault, err := r.Open(Vault, row.Account, row.Vault.Reveal())
	if err != nil {
		return otp.Row{}, err
	}
	row.Vault = vault
	return row, nil
}
