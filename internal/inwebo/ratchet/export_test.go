package ratchet

// Base36 opens base36 to its law.
var Base36 = base36

// Equal compares keys for the vectors.
func (k PublicKey) Equal(other PublicKey) bool { return k.rsa.Equal(other.rsa) }
