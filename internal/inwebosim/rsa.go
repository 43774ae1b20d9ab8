package inwebosim

import (
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// The protocol's RSA: 1024 bit, public exponent 17, OAEP with SHA-256 (section 2).
const (
	rsaBytes    = 128
	rsaExponent = 17
	sealedBlock = rsaBytes - 2*sha256.Size - 2 // 62 plaintext bytes
)

// rsaKey is a private key that can also seal.
type rsaKey struct {
	private *rsa.PrivateKey
	// sealP, sealQ, qInverse are d² reduced for each prime, and q⁻¹ mod p: see seal.
	sealP, sealQ, qInverse *big.Int
}

// newRSAKey makes a key from two 512-bit primes.
func newRSAKey(p, q *big.Int) (*rsaKey, error) {
	one := big.NewInt(1)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	phi := new(big.Int).Mul(p1, q1)
	d := new(big.Int).ModInverse(big.NewInt(rsaExponent), phi)
	if d == nil {
		return nil, fmt.Errorf("the primes do not allow the exponent %d", rsaExponent)
	}
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: rsaExponent},
		D:         d,
		Primes:    []*big.Int{p, q},
	}
	private.Precompute()
	if err := private.Validate(); err != nil {
		return nil, err
	}
	square := new(big.Int).Mul(d, d)
	return &rsaKey{
		private:  private,
		sealP:    new(big.Int).Mod(square, p1),
		sealQ:    new(big.Int).Mod(square, q1),
		qInverse: new(big.Int).ModInverse(q, p),
	}, nil
}

// modulus is what the key's counterpart is known by: 128 bytes, big-endian.
func (k *rsaKey) modulus() []byte { return k.private.N.FillBytes(make([]byte, rsaBytes)) }

// seal OAEP-encodes plain in blocks of 62 bytes, applies the private operation to each, and returns hex.
//
// The standard library encodes only as part of encrypting, which raises the block to e. Raising its
// result to d² undoes that and applies the private operation.
func (k *rsaKey) seal(plain []byte, random io.Reader) (string, error) {
	var sealed []byte
	for len(plain) > 0 {
		block := plain[:min(sealedBlock, len(plain))]
		plain = plain[len(block):]
		var raised []byte
		var err error
		fips140.WithoutEnforcement(func() { // which allows no key of 1024 bits
			raised, err = rsa.EncryptOAEP(sha256.New(), random, &k.private.PublicKey, block, nil)
		})
		if err != nil {
			return "", fmt.Errorf("sealing: %w", err)
		}
		c := k.raiseToSquare(new(big.Int).SetBytes(raised))
		sealed = append(sealed, c.FillBytes(make([]byte, rsaBytes))...)
	}
	return hex.EncodeToString(sealed), nil
}

// raiseToSquare is c^(d²) mod n by the Chinese remainder theorem.
func (k *rsaKey) raiseToSquare(c *big.Int) *big.Int {
	p, q := k.private.Primes[0], k.private.Primes[1]
	mp := new(big.Int).Exp(c, k.sealP, p)
	mq := new(big.Int).Exp(c, k.sealQ, q)
	h := mp.Sub(mp, mq)
	h.Mul(h, k.qInverse).Mod(h, p)
	return h.Mul(h, q).Add(h, mq)
}

// decrypt opens what a client encrypted to the key: lower hex of one OAEP block.
func (k *rsaKey) decrypt(text string) (plain []byte, err error) {
	if !isLowerHex(text, 2*rsaBytes) {
		return nil, errors.New("not one block in lower-case hex")
	}
	block, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	fips140.WithoutEnforcement(func() { plain, err = rsa.DecryptOAEP(sha256.New(), nil, k.private, block, nil) })
	return plain, err
}
