package otp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// schema is the version of body and vault. A record of another one is refused, never guessed at.
const schema = 1

// body is the part of a record that anybody who may read the database may read.
type body struct {
	Schema int `json:"schema"`
	Record
}

// vault is the part that is sealed at rest.
type vault struct {
	Device    *ratchet.Saved `json:"device,omitempty"`
	Fallback  *fallback      `json:"fallback,omitempty"`
	Enrolment *ratchet.Saved `json:"enrolment,omitempty"`
	Unread    []unreadAnswer `json:"unread,omitempty"`
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

// A record needs more room while it is held, for the hold and the guess that comes with it. An idle one leaves that room
// blank, and every body is filled up to a whole number of steps. So it keeps its length through most conversations, and a
// store that keeps rows in pages writes each over the one before it and moves none of its neighbours.
const (
	holdRoom = 256 // bytes
	bodyStep = 256
)

// withRoom fills a body up with blanks, which say nothing in JSON.
func withRoom(text []byte, held bool) []byte {
	length := len(text)
	if !held {
		length += holdRoom
	}
	length = (length + bodyStep - 1) / bodyStep * bodyStep
	return append(text, bytes.Repeat([]byte{' '}, length-len(text))...)
}

// encode gives the row that a store keeps.
func encode(r Record) (Row, error) {
	row := Row{Account: r.Account, Revision: r.Revision, InDoubt: r.Doubt != nil, UnreadAnswers: len(r.Unread)}
	if r.Hold != nil && r.Device != nil { // what is over then is counted as a doubt
		row.HeldUntil = r.Hold.Until
	}
	text, err := json.Marshal(body{schema, r})
	if err != nil {
		return Row{}, fmt.Errorf("encode the record: %w", err)
	}
	row.Body = withRoom(text, r.Hold != nil)
	if !r.sealed.IsEmpty() {
		row.Vault, row.Unopened, row.UnreadAnswers = r.sealed, true, r.sealedUnread
		return row, nil
	}
	v := vaultOf(r)
	if v.Device == nil && v.Enrolment == nil && v.Unread == nil {
		return row, nil
	}
	if text, err = json.Marshal(v); err != nil {
		return Row{}, fmt.Errorf("encode the keys of the record: %w", err)
	}
	row.Vault = secret.NewBytes(text)
	return row, nil
}

func vaultOf(r Record) (v vault) {
	if r.Device != nil {
		v.Device = r.Device.State.Save()
		if other := r.Device.Fallback; other != nil {
			v.Fallback = &fallback{other.State.Save(), other.Before, other.Step}
		}
	}
	if r.Enrolment != nil {
		v.Enrolment = r.Enrolment.Device.State.Save()
	}
	for _, u := range r.Unread {
		v.Unread = append(v.Unread, unreadAnswer{u.Exchange, u.At, u.Step, u.Accepted, u.Cut, u.Answer.Reveal()})
	}
	return v
}

// errDamaged means that a record cannot be decoded.
var errDamaged = errors.New("is damaged")

// Decode reads a row. Its errors name the account and quote nothing of the row.
func Decode(row Row) (Record, error) {
	damaged := func(what string) (Record, error) {
		return Record{}, fmt.Errorf("the record of account %q %w: %s", row.Account, errDamaged, what)
	}
	r, err := decodeBody(row)
	if err != nil {
		return Record{}, err
	}
	var v vault
	if !row.Vault.IsEmpty() {
		if err := json.Unmarshal(row.Vault.Reveal(), &v); err != nil {
			return damaged("its vault is not the expected JSON")
		}
	}
	if r.Device != nil {
		if err := restore(&r.Device.State, v.Device); err != nil {
			return damaged(err.Error())
		}
		if other := v.Fallback; other != nil {
			r.Device.Fallback = &Fallback{Before: other.Before, Step: other.Step}
			if err := restore(&r.Device.Fallback.State, other.State); err != nil {
				return damaged(err.Error())
			}
		}
	}
	for _, u := range v.Unread {
		r.Unread = append(r.Unread, UnreadAnswer{u.Exchange, u.At, u.Step, u.Accepted, u.Cut, secret.NewBytes(u.Answer)})
	}
	if r.Enrolment != nil {
		if err := restore(&r.Enrolment.Device.State, v.Enrolment); err != nil {
			return damaged(err.Error())
		}
	}
	return r, nil
}

// decodeBody reads what of a row is no secret: its devices have no keys.
func decodeBody(row Row) (Record, error) {
	var b body
	if err := json.Unmarshal(row.Body, &b); err != nil {
		return Record{}, fmt.Errorf("the record of account %q %w: its body is not the expected JSON", row.Account, errDamaged)
	}
	if b.Schema != schema {
		return Record{}, fmt.Errorf("the record of account %q has schema %d and this pimsd knows %d: use the pimsd that wrote it, or a newer one",
			row.Account, b.Schema, schema)
	}
	b.Account, b.Revision = row.Account, row.Revision
	return b.Record, nil
}

func restore(state *ratchet.State, saved *ratchet.Saved) (err error) {
	if saved == nil {
		return fmt.Errorf("its vault lacks the keys of a device")
	}
	*state, err = ratchet.Restore(*saved)
	return err
}
