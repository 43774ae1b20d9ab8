package ratchet

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/pimsd/pimsd/internal/secret"
)

// alphabet has the digits of an OTP: base 36, a = 0.
const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// OTP makes the one-time password of defi (docs/protocol.md §6): 1 to 8 letters and digits, least significant first,
// not padded. k1 is K1 as the answer that carried defi left it.
func OTP(k1 secret.Text, defi string, secval secret.Text) secret.Text {
	h := sha256.Sum256([]byte(k1.Reveal() + ":" + defi + ":" + secval.Reveal()))
	high := uint64(binary.BigEndian.Uint32(h[0:4]) & 0x0fffffff)
	low := uint64(binary.BigEndian.Uint32(h[4:8]) & 0x3ff)
	return secret.NewText(base36(high<<10 | low))
}

// base36 writes n least significant digit first; 0 is "a".
func base36(n uint64) string {
	var digits [13]byte // 64 bits have at most 13 digits in base 36
	for i := range digits {
		digits[i] = alphabet[n%36]
		if n /= 36; n == 0 {
			return string(digits[:i+1])
		}
	}
	return string(digits[:])
}
