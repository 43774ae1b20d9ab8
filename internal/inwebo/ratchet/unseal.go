package ratchet

import (
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/pimsd/pimsd/internal/secret"
)

const (
	// exponent is that of every key of the protocol.
	exponent = 17
	// blockBytes is the length of a modulus and of a ciphertext block.
	blockBytes = 128
	// sealedKeyBlocks is how many blocks carry a modulus: 62 + 62 + 4 bytes.
	sealedKeyBlocks = 3
)

// What Unseal refuses.
var (
	ErrModulusSize  = errors.New("an RSA modulus is not 1024 bits")
	ErrSealedLength = errors.New("a sealed text is not a whole number of 128-byte blocks")
	ErrSealedRange  = errors.New("a sealed block is not below the modulus")
	ErrSealedFirst  = errors.New("a sealed block does not begin with zero")
	ErrSealedLabel  = errors.New("a sealed block has a wrong label hash")
	ErrSealedPad    = errors.New("a sealed block has a wrong padding")
)

// PublicKey is one of the server's RSA keys: Kfact, Kiw or ms_key (docs/protocol.md §2). The zero value is no key.
type PublicKey struct{ rsa *rsa.PublicKey }

// ParsePublicKey reads a modulus of 256 hex digits, as Kfact is sent.
func ParsePublicKey(modulusHex string) (PublicKey, error) {
	modulus, err := hex.DecodeString(modulusHex)
	if err != nil {
		return PublicKey{}, errors.New("an RSA modulus is not hex")
	}
	return newPublicKey(modulus)
}

func newPublicKey(modulus []byte) (PublicKey, error) {
	n := new(big.Int).SetBytes(modulus)
	if len(modulus) != blockBytes || n.BitLen() != 8*blockBytes {
		return PublicKey{}, ErrModulusSize
	}
	return PublicKey{&rsa.PublicKey{N: n, E: exponent}}, nil
}

// Encrypt returns the plaintext to the holder of the private key, as 256 lower-hex digits: RSA-OAEP-SHA-256.
func (k PublicKey) Encrypt(random io.Reader, plaintext secret.Bytes) (string, error) {
	var sealed []byte
	var err error
	// The protocol's keys have 1024 bits. A process in FIPS mode would refuse them after the SMS code was shown.
	fips140.WithoutEnforcement(func() {
		sealed, err = rsa.EncryptOAEP(sha256.New(), random, k.rsa, plaintext.Reveal(), nil)
	})
	if err != nil {
		return "", fmt.Errorf("encrypt to the server: %w", err)
	}
	return hex.EncodeToString(sealed), nil
}

// UnsealKey returns the public key that the server sealed under k: Kiw or ms_key as sent, lower or upper hex.
func (k PublicKey) UnsealKey(sealedHex string) (PublicKey, error) {
	sealed, err := hex.DecodeString(sealedHex)
	if err != nil {
		return PublicKey{}, errors.New("a sealed key is not hex")
	}
	if len(sealed) != sealedKeyBlocks*blockBytes {
		return PublicKey{}, fmt.Errorf("a sealed key is not %d blocks: %w", sealedKeyBlocks, ErrSealedLength)
	}
	modulus, err := k.Unseal(sealed)
	if err != nil {
		return PublicKey{}, err
	}
	return newPublicKey(modulus)
}

// Unseal undoes the server's private operation block by block and joins what the blocks carry.
func (k PublicKey) Unseal(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || len(sealed)%blockBytes != 0 {
		return nil, ErrSealedLength
	}
	var plaintext []byte
	for block := range slices.Chunk(sealed, blockBytes) {
		encoded, err := k.publicOperation(block)
		if err != nil {
			return nil, err
		}
		part, err := oaepDecode(encoded)
		if err != nil {
			return nil, err
		}
		plaintext = append(plaintext, part...)
	}
	return plaintext, nil
}

// publicOperation is c^17 mod n, left-padded to a block.
func (k PublicKey) publicOperation(block []byte) (*[blockBytes]byte, error) {
	c := new(big.Int).SetBytes(block)
	if c.Cmp(k.rsa.N) >= 0 {
		return nil, ErrSealedRange
	}
	var encoded [blockBytes]byte
	c.Exp(c, big.NewInt(exponent), k.rsa.N).FillBytes(encoded[:])
	return &encoded, nil
}

// oaepDecode is EME-OAEP decoding with SHA-256, MGF1-SHA-256 and an empty label (RFC 8017 §7.1.2, step 3). The
// ciphertext was opened with a public key, so different errors for different faults reveal nothing.
func oaepDecode(encoded *[blockBytes]byte) ([]byte, error) {
	if encoded[0] != 0 {
		return nil, ErrSealedFirst
	}
	seed, data := encoded[1:1+sha256.Size], encoded[1+sha256.Size:]
	xorMask(seed, data)
	xorMask(data, seed)
	label := sha256.Sum256(nil)
	if [sha256.Size]byte(data[:sha256.Size]) != label {
		return nil, ErrSealedLabel
	}
	for i, b := range data[sha256.Size:] {
		switch b {
		case 0:
		case 1:
			return data[sha256.Size+i+1:], nil
		default:
			return nil, ErrSealedPad
		}
	}
	return nil, ErrSealedPad
}

// xorMask masks data with MGF1-SHA-256 of seed.
func xorMask(data, seed []byte) {
	for counter := uint32(0); len(data) > 0; counter++ {
		mask := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte(nil), seed...), counter))
		n := min(len(data), len(mask))
		for i := range n {
			data[i] ^= mask[i]
		}
		data = data[n:]
	}
}
