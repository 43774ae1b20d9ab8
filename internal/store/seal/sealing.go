package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Purpose says what something is sealed for. What was sealed for one purpose does not open for another.
type Purpose string

// Secrets is the purpose of a row's secrets.
const Secrets Purpose = "vault"

// ErrDamaged says that something sealed is not as it was sealed, or not whose it is said to be. The error around it
// names account and key.
var ErrDamaged = errors.New("it was changed, or sealed for somebody or something else")

// What is sealed is a byte that says this form, which is the schema of what is sealed, the key's id, and what AES-256-GCM
// makes: a random nonce of 12 bytes, as many bytes as were sealed, and a tag of 16. A MAC has the same head. Text of another
// layout takes another Purpose.
const (
	version     = 1
	headerBytes = 1 + idBytes
	extraBytes  = headerBytes + 12 + 16
)

// Seal returns plaintext sealed under the current key, extraBytes longer than it was. Only the same purpose and account
// open it.
func (r *Keyring) Seal(purpose Purpose, account otp.Account, plaintext secret.Bytes) []byte {
	key, text := r.current(), plaintext.Reveal()
	header, info := headerOf(key.id), derivationInfo(purpose, account)
	sealed := slices.Grow(header, extraBytes-headerBytes+len(text))
	//nolint:gosec // no nonce is given here: the cipher draws it
	return key.aead(info).Seal(sealed, nil, text, associated(header, info))
}

// Open undoes Seal. An error that wraps otp.ErrSealed names the key that is missing; one that wraps ErrDamaged, account
// and key.
func (r *Keyring) Open(purpose Purpose, account otp.Account, sealed []byte) (secret.Bytes, error) {
	id, body, ok := cutHeader(sealed, extraBytes)
	if !ok {
		return secret.Bytes{}, fmt.Errorf("the %s of account %q is not sealed as this pimsd seals: %w", purpose, account, ErrDamaged)
	}
	key, err := r.key(id)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("the %s of account %q is sealed under %w", purpose, account, err)
	}
	info := derivationInfo(purpose, account)
	text, err := key.aead(info).Open(nil, nil, body, associated(sealed[:headerBytes], info))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("the %s of account %q does not open under key %s: %w", purpose, account, id, ErrDamaged)
	}
	return secret.NewBytes(text), nil
}

// MAC returns a fingerprint of data that cannot be made or checked without the key: HMAC-SHA-256 under a key derived from
// the current one for the purpose, with the key's id before it.
func (r *Keyring) MAC(purpose Purpose, data []byte) []byte {
	key := r.current()
	return append(headerOf(key.id), key.mac(purpose, data)...)
}

// CheckMAC reports whether mac is what MAC has given for data and the purpose, then or now. An error that wraps
// otp.ErrSealed names the key that is missing.
func (r *Keyring) CheckMAC(purpose Purpose, data, mac []byte) (bool, error) {
	id, sum, ok := cutHeader(mac, headerBytes+sha256.Size)
	if !ok {
		return false, nil
	}
	key, err := r.key(id)
	if err != nil {
		return false, fmt.Errorf("a fingerprint (%s) was made under %w", purpose, err)
	}
	return hmac.Equal(sum, key.mac(purpose, data)), nil
}

// headerOf is the head of what the key has sealed.
func headerOf(id KeyID) []byte {
	raw, _ := hex.DecodeString(string(id)) // an id is hex
	return append([]byte{version}, raw...)
}

// cutHeader returns the key's id and what follows the head, if the form is the known one and the length not under least.
func cutHeader(sealed []byte, least int) (id KeyID, rest []byte, ok bool) {
	if len(sealed) < least || sealed[0] != version {
		return "", nil, false
	}
	return KeyID(hex.EncodeToString(sealed[1:headerBytes])), sealed[headerBytes:], true
}

// associated is what GCM authenticates in addition to the text: version, key, purpose and account.
func associated(header []byte, info string) []byte {
	return slices.Concat(header, []byte(info))
}
