package ratchet

import "github.com/pimsd/pimsd/internal/secret"

// Base36 opens base36 to its law.
var Base36 = base36

// Equal compares keys for the vectors.
func (k PublicKey) Equal(other PublicKey) bool { return k.rsa.Equal(other.rsa) }

// Stepped is the keys after K1 has taken the steps.
func (k Keys) Stepped(steps []secret.Text) Keys { return k.stepped(steps) }
