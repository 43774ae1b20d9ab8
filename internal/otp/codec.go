package otp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// schema is the version of body and secrets. A record with another version is refused.
const schema = 1

// Body and secrets are canonical CBOR (RFC 8949 §4.2), with the names of their fields as keys. pimsd account show --json prints a record
// for people.
//
//nolint:gochecknoglobals // made once, and never changed
var (
	encoding = must(cbor.EncOptions{Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339NanoUTC}.EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		MaxNestedLevels:   16, MaxArrayElements: 1 << 16, MaxMapPairs: 64,
	}.DecMode())
)

// must returns the mode of options that are constant.
func must[M any](mode M, err error) M {
	if err != nil {
		panic(err)
	}
	return mode
}

// body is the part of a record that anybody who may read the database may read.
type body struct {
	Schema int `json:"schema"`
	Record
}

// recordSecrets is the part of a record that is sealed at rest.
type recordSecrets struct {
	Device     *ratchet.Saved `json:"device,omitempty"`
	Fallback   *fallback      `json:"fallback,omitempty"`
	Enrollment *ratchet.Saved `json:"enrolment,omitempty"`
	Unread     []unreadAnswer `json:"unread,omitempty"`
}

type fallback struct {
	State  *ratchet.Saved `json:"state"`
	Before bool           `json:"before"`
	Step   uint64         `json:"step"`
}

type unreadAnswer struct {
	Exchange inwebo.Exchange `json:"exchange"`
	At       time.Time       `json:"at"`
	Step     uint64          `json:"step"`
	Accepted bool            `json:"accepted"`
	Cut      bool            `json:"cut,omitempty"`
	Answer   []byte          `json:"answer"`
}

// encode returns the row that a store keeps of a record, without its secrets if they stay as they are stored.
func encode(r *Record, sameSecrets bool) (Row, error) {
	row := Row{Account: r.Account, Revision: r.Revision, InDoubt: r.Doubt != nil, UnreadAnswers: len(r.Unread)}
	if r.Lease != nil && r.Device != nil { // what is over then is counted as a doubt
		row.LeasedUntil = r.Lease.Until
	}
	var err error
	if row.Body, err = encodeBody(r); err != nil || sameSecrets {
		return row, err
	}
	if !r.sealed.IsEmpty() {
		row.Secrets, row.Unopened, row.UnreadAnswers = r.sealed, true, r.sealedUnread
		return row, nil
	}
	v := secretsOf(r)
	if v.isEmpty() {
		return row, nil
	}
	text, err := encoding.Marshal(v)
	if err != nil {
		return Row{}, fmt.Errorf("encode the keys of the record: %w", err)
	}
	row.Secrets = secret.NewBytes(text)
	return row, nil
}

func encodeBody(r *Record) ([]byte, error) {
	text, err := encoding.Marshal(body{schema, *r})
	if err != nil {
		return nil, fmt.Errorf("encode the record: %w", err)
	}
	return text, nil
}

func (v recordSecrets) isEmpty() bool {
	return v.Device == nil && v.Enrollment == nil && v.Unread == nil
}

// haveSameSecrets reports whether the secrets that are stored of from are also those of r. What was written by an earlier version is to be
// written again. Where the ratchet has moved, the keys are others.
func haveSameSecrets(from, r *Record) bool {
	switch {
	case from.Revision == 0, from.legacy, from.damaged, from.Step != r.Step:
		return false
	case !from.sealed.IsEmpty() || !r.sealed.IsEmpty():
		return bytes.Equal(from.sealed.Reveal(), r.sealed.Reveal())
	case from.Device == r.Device && from.Enrollment == r.Enrollment && len(from.Unread) == 0 && len(r.Unread) == 0:
		return true
	}
	return reflect.DeepEqual(secretsOf(from), secretsOf(r))
}

func secretsOf(r *Record) (v recordSecrets) {
	if r.Device != nil {
		v.Device = r.Device.State.Save()
		if other := r.Device.Fallback; other != nil {
			v.Fallback = &fallback{other.State.Save(), other.Before, other.Step}
		}
	}
	if r.Enrollment != nil {
		v.Enrollment = r.Enrollment.Device.State.Save()
	}
	for _, u := range r.Unread {
		v.Unread = append(v.Unread, unreadAnswer{u.Exchange, u.At, u.Step, u.Accepted, u.Cut, u.Answer.Reveal()})
	}
	return v
}

// unmarshal reads what encoding wrote, or the JSON that earlier versions wrote, and reports which it was.
func unmarshal(text []byte, to any) (legacy bool, err error) {
	if bytes.HasPrefix(text, []byte("{")) {
		return true, json.Unmarshal(text, to)
	}
	return false, decoding.Unmarshal(text, to)
}

// Decode reads a row. Its errors name the account and quote nothing of the row.
func Decode(row Row) (Record, error) {
	r, err := decodeBody(row)
	if err != nil {
		return Record{}, err
	}
	var v recordSecrets
	if !row.Secrets.IsEmpty() {
		legacy, err := unmarshal(row.Secrets.Reveal(), &v)
		if err != nil {
			return Record{}, row.damaged("its secrets do not have the expected form")
		}
		r.legacy = r.legacy || legacy
	}
	if r.Device != nil {
		if err := restore(&r.Device.State, v.Device); err != nil {
			return Record{}, row.damaged(err.Error())
		}
		if other := v.Fallback; other != nil {
			r.Device.Fallback = &Fallback{Before: other.Before, Step: other.Step}
			if err := restore(&r.Device.Fallback.State, other.State); err != nil {
				return Record{}, row.damaged(err.Error())
			}
		}
	}
	for _, u := range v.Unread {
		r.Unread = append(r.Unread, UnreadAnswer{u.Exchange, u.At, u.Step, u.Accepted, u.Cut, secret.NewBytes(u.Answer)})
	}
	if r.Enrollment != nil {
		if err := restore(&r.Enrollment.Device.State, v.Enrollment); err != nil {
			return Record{}, row.damaged(err.Error())
		}
	}
	return r, nil
}

// decodeBody reads what of a row is no secret: its devices have no keys.
func decodeBody(row Row) (Record, error) {
	var b body
	legacy, err := unmarshal(row.Body, &b)
	if err != nil {
		return Record{}, row.damaged("its body has not the expected form")
	}
	if b.Schema != schema {
		return Record{}, fmt.Errorf("the record of account %q has schema %d and this pimsd knows %d: use the pimsd that wrote it, or a newer one",
			row.Account, b.Schema, schema)
	}
	b.Account, b.Revision, b.Disabled, b.legacy = row.Account, row.Revision, row.Disabled, legacy
	return b.inEpochOf(row), nil
}

// damaged returns the error of a row that cannot be decoded.
func (row Row) damaged(what string) error {
	if row.Disabled {
		what += "; the account is disabled"
	}
	return fmt.Errorf("the record of account %q %w: %s", row.Account, ErrDamaged, what)
}

func restore(state *ratchet.State, saved *ratchet.Saved) (err error) {
	if saved == nil {
		return fmt.Errorf("its secrets lack the keys of a device")
	}
	*state, err = ratchet.Restore(*saved)
	return err
}

// tolerance says which records a conversation can work on.
type tolerance int

const (
	// needsKeys is for conversations that use the keys of the device.
	needsKeys tolerance = iota
	// keepsSecrets is for those that leave the secrets as they are: they work on a record whose secrets cannot be opened.
	keepsSecrets
	// keepsBody is for those that change nothing but what is stored next to the body: they work on a record that cannot be decoded, and
	// leave what is left of it as it is.
	keepsBody
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
	switch tolerable := row.Unopened && t >= keepsSecrets; {
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
	switch damaged := errors.Is(err, ErrDamaged) && t >= keepsBody; {
	case damaged:
		return row.remains(limits.Guard).keeping(row, t), nil
	case err != nil, !row.Unopened:
		return r, err
	}
	r.sealed, r.sealedUnread = row.Secrets, row.UnreadAnswers
	return r, nil
}

// keeping returns what remains of a damaged row as a call of that tolerance writes it.
func (r Record) keeping(row Row, t tolerance) Record {
	if t == keepsBody {
		r.undecoded = &row
	}
	return r
}

// withoutSealed returns the record without the secrets that were not opened.
func (r Record) withoutSealed() Record {
	r.sealed, r.sealedUnread = secret.Bytes{}, 0
	return r
}

// remains returns what is known of a damaged record, without its devices. Where its body cannot be read, the serial is that of
// the claim, and the PIN guard has one attempt left: what inWebo has counted of wrong PINs is not known.
func (row Row) remains(guard GuardLimits) Record {
	r, err := decodeBody(row)
	if err != nil {
		r = Record{
			Account: row.Account, Revision: row.Revision, Serial: ratchet.Serial(row.Claim.Serial),
			Guard: guard.unknown(), Disabled: row.Disabled,
		}
		if !row.LeasedUntil.IsZero() {
			r.Lease = &Lease{Revision: row.Revision, Since: row.LeasedUntil.Add(-MaxLease), Until: row.LeasedUntil}
		}
	}
	r.Device, r.Enrollment, r.damaged = nil, nil, true
	return r.inEpochOf(row)
}
