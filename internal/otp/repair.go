package otp

import (
	"errors"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// tolerance says which records a conversation can work on.
type tolerance int

const (
	// needsKeys is for conversations that use the keys of the device.
	needsKeys tolerance = iota
	// keepsVault is for those that leave the vault as it is: they work on a record whose vault cannot be opened.
	keepsVault
	// replacesDevice is for those that remove the device or put another one in its place: they work on a record that
	// cannot be decoded, too.
	replacesDevice
)

// decode returns the record of a snapshot as far as a call of that tolerance can work on it. Otherwise it returns why the record
// cannot be opened or decoded. The record of a row that is not there is an empty one of revision 0.
func (t tolerance) decode(found Snapshot, limits *Limits) (Record, error) {
	row, err := found.Row, found.Fault
	if row.Revision == 0 && err == nil {
		return Record{Account: row.Account}.inEpochOf(row), nil
	}
	switch tolerable := row.Unopened && t >= keepsVault; {
	case err != nil && !tolerable:
		return Record{}, err
	case row.Unopened && !tolerable:
		return Record{}, ErrSealed
	}
	decode := Decode
	if row.Unopened {
		decode = decodeBody
	}
	r, err := decode(row)
	switch damaged := errors.Is(err, errDamaged) && t == replacesDevice; {
	case err == nil && !row.Unopened, err != nil && !damaged:
		return r, err
	}
	if err != nil {
		return row.remains(limits), nil //nolint:nilerr // that it is damaged is why the remains are used
	}
	r.sealed, r.sealedUnread = row.Vault, row.UnreadAnswers
	return r, nil
}

// withoutSealed returns the record without the vault that was not opened.
func (r Record) withoutSealed() Record {
	r.sealed, r.sealedUnread = secret.Bytes{}, 0
	return r
}

// remains returns what is known of a damaged record, without its devices. Where its body cannot be read, the serial is that of
// the claim, and the PIN guard has one guess left: what inWebo has counted of wrong PINs is not known.
func (row Row) remains(limits *Limits) Record {
	r, err := decodeBody(row)
	if err != nil {
		r = Record{
			Account: row.Account, Revision: row.Revision, Serial: ratchet.Serial(row.Claim.Serial),
			Guard: limits.Guard.unknown(),
		}
		if !row.HeldUntil.IsZero() {
			r.Hold = &Hold{Revision: row.Revision, Since: row.HeldUntil.Add(-MaxLease), Until: row.HeldUntil}
		}
	}
	r.Device, r.Enrolment, r.damaged = nil, nil, true
	return r.inEpochOf(row)
}
