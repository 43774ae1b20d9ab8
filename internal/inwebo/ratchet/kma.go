package ratchet

import (
	"crypto/aes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/pimsd/pimsd/internal/secret"
)

// secretBytes is the length of the device secret: one AES block.
const secretBytes = aes.BlockSize

// Kma is the AES-128 key that a PIN and a serial make: the first 16 bytes of H(pin;serial) (docs/protocol.md §2).
// The protocol uses it on single blocks without chaining, so the weakness of ECB has nothing to show itself in.
type Kma struct{ key secret.Bytes }

// NewKma derives the key of pin for the device serial.
func NewKma(pin secret.Text, serial Serial) Kma {
	sum := sha256.Sum256([]byte(pin.Reveal() + ";" + string(serial)))
	return Kma{secret.NewBytes(sum[:aes.BlockSize])}
}

// Secval is what an OTP is made of in addition to K1: the device secret encrypted under the Kma, KeyDigits lower-hex digits.
func (k Kma) Secval(deviceSecret secret.Bytes) secret.Text {
	block, _ := aes.NewCipher(k.key.Reveal())
	out := make([]byte, secretBytes)
	block.Encrypt(out, deviceSecret.Reveal())
	return secret.NewText(hex.EncodeToString(out))
}

// SecretOf undoes Secval, whose form the caller has checked; with another PIN's key it returns another secret.
func (k Kma) SecretOf(secval secret.Text) secret.Bytes {
	block, _ := aes.NewCipher(k.key.Reveal())
	drawn, _ := hex.DecodeString(secval.Reveal())
	block.Decrypt(drawn, drawn)
	return secret.NewBytes(drawn)
}

// EncryptFor encrypts the key itself to inWebo, for the activation (docs/protocol.md §3).
func (k Kma) EncryptFor(kiw PublicKey, random io.Reader) (string, error) {
	return kiw.Encrypt(random, k.key)
}

// decryptKey gives K0 or K1 of its form as sent, which NewMove has checked.
func (k Kma) decryptKey(asSent secret.Text) secret.Text {
	block, _ := aes.NewCipher(k.key.Reveal())
	key, _ := hex.DecodeString(asSent.Reveal())
	block.Decrypt(key, key)
	return secret.NewText(hex.EncodeToString(key))
}

// NewSecret draws the device secret, once for each activation.
func NewSecret(random io.Reader) (secret.Bytes, error) {
	drawn := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, drawn); err != nil {
		return secret.Bytes{}, fmt.Errorf("draw the device secret: %w", err)
	}
	return secret.NewBytes(drawn), nil
}
