package ratchet

import "github.com/pimsd/pimsd/internal/secret"

// Proofs are what a finalize shows of the keys without showing them: 64 lower-hex digits each (docs/protocol.md §5).
type Proofs struct{ R0, R1, R2 string }

// Prove answers challenge, which is used verbatim. Before the activation there is no challenge, key or PIN yet: those
// parts stay empty and their separators stand.
func Prove(challenge string, keys Keys, serial Serial, pin secret.Text) Proofs {
	k0 := keys.K0.Reveal()
	return Proofs{
		R0: hash(challenge, k0, string(serial)),
		R1: hash(challenge, k0, keys.K1.Reveal()),
		R2: hash(challenge, k0, pin.Reveal()),
	}
}

// ActivationProofs are those of the activate finalize, where only the serial is known.
func ActivationProofs(serial Serial) Proofs {
	return Prove("", Keys{}, serial, secret.Text{})
}
