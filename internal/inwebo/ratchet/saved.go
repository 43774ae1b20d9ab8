package ratchet

import (
	"encoding/hex"
	"errors"

	"github.com/pimsd/pimsd/internal/secret"
)

// Saved is a State in the clear, for the one place that writes it down: it must be sealed before it leaves the process.
// Keys and the secret are hex; what a State lacks is empty.
type Saved struct {
	K0       string   `json:"k0,omitempty"`
	K1       string   `json:"k1,omitempty"`
	SentK0   string   `json:"sentK0,omitempty"`
	SentK1   string   `json:"sentK1,omitempty"`
	DK1      []string `json:"dK1,omitempty"`
	Secret   string   `json:"secret,omitempty"`
	Unopened string   `json:"secval,omitempty"`
}

// Save returns the state in the clear.
func (s State) Save() *Saved {
	saved := &Saved{
		K0: s.Keys.K0.Reveal(), K1: s.Keys.K1.Reveal(),
		SentK0: s.Unproven.K0.Reveal(), SentK1: s.Unproven.K1.Reveal(),
		Secret: hex.EncodeToString(s.Secret.Reveal()), Unopened: s.Unopened.Reveal(),
	}
	for _, step := range s.Unproven.DK1 {
		saved.DK1 = append(saved.DK1, step.Reveal())
	}
	return saved
}

// Restore undoes Save, and refuses what no State can hold.
func Restore(saved Saved) (State, error) {
	for _, key := range []string{saved.K0, saved.K1, saved.SentK0, saved.SentK1, saved.Unopened} {
		if key != "" && !isKey(key) {
			return State{}, errors.New("a stored key is not 32 hex digits")
		}
	}
	drawn, err := hex.DecodeString(saved.Secret)
	if err != nil || len(drawn) != 0 && len(drawn) != secretBytes {
		return State{}, errors.New("a stored device secret is not 16 bytes in hex")
	}
	state := State{
		Keys:     Keys{K0: secret.NewText(saved.K0), K1: secret.NewText(saved.K1)},
		Unproven: Move{K0: secret.NewText(saved.SentK0), K1: secret.NewText(saved.SentK1)},
		Secret:   secret.NewBytes(drawn),
		Unopened: secret.NewText(saved.Unopened),
	}
	for _, step := range saved.DK1 {
		state.Unproven.DK1 = append(state.Unproven.DK1, secret.NewText(step))
	}
	return state, nil
}
