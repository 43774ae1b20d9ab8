package inwebosim

import (
	_ "embed"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// maxSecrets is the largest ms_n: each secret has a key of its own.
const maxSecrets = 4

// keyring holds the server's RSA keys by what they do (section 2).
type keyring struct {
	seal    *rsaKey // Kfact
	kiw     *rsaKey // Kiw
	secrets []*rsaKey
}

// newKeyring deals the fixed keys to their roles. The seed decides which key plays which, so that a
// client that has learnt a modulus by heart fails with the next seed.
func newKeyring(seed uint64) (keyring, error) {
	var keys []*rsaKey
	for pair := range slices.Chunk(strings.Fields(fixedPrimes), 2) {
		p, okP := new(big.Int).SetString(pair[0], 16)
		q, okQ := new(big.Int).SetString(pair[1], 16)
		if !okP || !okQ {
			return keyring{}, fmt.Errorf("test key %d is not hex", len(keys))
		}
		k, err := newRSAKey(p, q)
		if err != nil {
			return keyring{}, fmt.Errorf("test key %d: %w", len(keys), err)
		}
		keys = append(keys, k)
	}
	first := int(seed % uint64(len(keys)))
	keys = slices.Concat(keys[first:], keys[:first])
	return keyring{seal: keys[0], kiw: keys[1], secrets: keys[2:]}, nil
}

// fixedPrimes has 512-bit primes, a line each. Two in a row make a key: their product has 1024 bits and allows the exponent 17. They are no
// secret: they spare each start the search for primes and make runs repeatable.
//
//go:embed primes.txt
var fixedPrimes string
