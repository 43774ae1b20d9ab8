package inwebosim

import (
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// key is 16 bytes: K0, K1, Kma, a device secret, a secval.
type key [16]byte

func (k key) String() string { return hex.EncodeToString(k[:]) }

func parseKey(text string) (key, error) {
	var k key
	if !isLowerHex(text, 2*len(k)) {
		return key{}, fmt.Errorf("must be %d lower-case hex digits", 2*len(k))
	}
	_, err := hex.Decode(k[:], []byte(text))
	return k, err
}

func randomKey(rng *rand.PCG) key {
	var k key
	binary.BigEndian.PutUint64(k[:8], rng.Uint64())
	binary.BigEndian.PutUint64(k[8:], rng.Uint64())
	return k
}

// encrypt is AES-128-ECB of one block (section 2).
func (k key) encrypt(plain key) key {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // 16 bytes are an AES-128 key
	}
	var out key
	block.Encrypt(out[:], plain[:])
	return out
}

// pinKey is Kma: the first 32 hex digits of H(pin;serial).
func pinKey(pin, serial string) key {
	sum := sha256.Sum256([]byte(pin + ";" + serial))
	return key(sum[:16])
}

// afterDK1 is K1 moved by dK1 (section 4).
func afterDK1(k1 key, dK1 string) key {
	sum := sha256.Sum256([]byte(k1.String() + ";" + dK1))
	return key(sum[:16])
}

// proofs are R0, R1, R2 as a request carries them.
type proofs struct{ r0, r1, r2 string }

// matches says which proofs are right.
type matches struct{ r0, r1, r2 bool }

// match compares p with H(c;K0;serial), H(c;K0;K1), H(c;K0;pin) (section 5).
func (p proofs) match(challenge, k0, k1, serial, pin string) matches {
	return matches{
		r0: isProof(p.r0, challenge, k0, serial),
		r1: isProof(p.r1, challenge, k0, k1),
		r2: isProof(p.r2, challenge, k0, pin),
	}
}

func isProof(got, challenge, k0, last string) bool {
	buf := make([]byte, 0, 160)
	buf = append(append(buf, challenge...), ';')
	buf = append(append(buf, k0...), ';')
	sum := sha256.Sum256(append(buf, last...))
	var want [2 * sha256.Size]byte
	hex.Encode(want[:], sum[:])
	return subtle.ConstantTimeCompare(want[:], []byte(got)) == 1
}

// otpText is the one-time password of a defi (section 6).
func otpText(k1 key, defi string, secval key) string {
	h := sha256.Sum256([]byte(k1.String() + ":" + defi + ":" + secval.String()))
	high := uint64(binary.BigEndian.Uint32(h[0:4]) & 0x0fffffff)
	low := uint64(binary.BigEndian.Uint32(h[4:8]) & 1023)
	return passwordText(high*1024 + low)
}

// passwordLength is what a password may be padded to, with the alphabet's zero.
const passwordLength = 8

// passwordText writes n in base 36, least significant digit first, a = 0.
func passwordText(n uint64) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, 0, passwordLength)
	for {
		text = append(text, alphabet[n%36])
		if n /= 36; n == 0 {
			return string(text)
		}
	}
}

// unpadded is the password without the padding that a client may have added; text of any other form
// comes back as it is, and is no password.
func unpadded(token string) string {
	if len(token) != passwordLength {
		return token
	}
	if text := strings.TrimRight(token, "a"); text != "" {
		return text
	}
	return "a"
}

func isLowerHex(text string, length int) bool {
	return len(text) == length && strings.Trim(text, "0123456789abcdef") == ""
}
