package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// keyBytes is the length of a key: that of AES-256.
const keyBytes = 32

// idBytes is the length of a key's id where it is in what is sealed.
const idBytes = 4

// KeyID names a key: 8 lower-hex digits that follow from the key itself, so that no key can bear another's name.
type KeyID string

// IsKeyID reports whether a text has the form of a KeyID.
func IsKeyID(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == idBytes && text == hex.EncodeToString(raw)
}

// Key is one key of a Keyring.
type Key struct {
	id   KeyID
	text secret.Bytes
}

// NewKey draws a key.
func NewKey(random io.Reader) (Key, error) {
	drawn := make([]byte, keyBytes)
	if _, err := io.ReadFull(random, drawn); err != nil {
		return Key{}, fmt.Errorf("draw a sealing key: %w", err)
	}
	return Key{idOf(drawn), secret.NewBytes(drawn)}, nil
}

// idOf returns the name of a key of keyBytes bytes.
func idOf(key []byte) KeyID {
	hash := sha256.Sum256(append([]byte("pimsd sealing key id 1:"), key...))
	return KeyID(hex.EncodeToString(hash[:idBytes]))
}

// ID returns the key's name.
func (k Key) ID() KeyID { return k.id }

// equal reports whether both are the same key. Names alone can be made alike: they are short.
func (k Key) equal(other Key) bool {
	return subtle.ConstantTimeCompare(k.text.Reveal(), other.text.Reveal()) == 1
}

// Text returns the key as a line of a keyring's text, without the end of the line.
func (k Key) Text() secret.Text {
	return secret.NewText(string(k.id) + ":" + base64.StdEncoding.EncodeToString(k.text.Reveal()))
}

// aead returns the cipher for what is sealed of one account for one purpose, which info names. Its key is derived for them alone.
//
// Nonces are random, 96 bits: after 2³² seals under one key the chance that two of them were alike reaches 2⁻³², which
// is where NIST SP 800-38D ends. Derived keys make that a bound for each account, and no account gets there.
func (k Key) aead(info string) cipher.AEAD {
	// A key of the right length cannot be refused, so the errors are nil. The key is random throughout: HKDF need not
	// extract (RFC 5869 §3.3).
	subkey, _ := hkdf.Expand(sha256.New, k.text.Reveal(), "pimsd seal 1:"+info, keyBytes)
	block, _ := aes.NewCipher(subkey)
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return aead
}

// mac returns the HMAC-SHA-256 of data under a key that is derived for the purpose alone.
func (k Key) mac(purpose Purpose, data []byte) []byte {
	subkey, _ := hkdf.Expand(sha256.New, k.text.Reveal(), "pimsd mac 1:"+derivationInfo(purpose, ""), keyBytes) // as above
	mac := hmac.New(sha256.New, subkey)
	mac.Write(data)
	return mac.Sum(nil)
}

// derivationInfo says purpose and account in one text, a different one for each pair: both with their lengths before them.
func derivationInfo(purpose Purpose, account otp.Account) string {
	return strconv.Itoa(len(purpose)) + ":" + string(purpose) + strconv.Itoa(len(account)) + ":" + string(account)
}
