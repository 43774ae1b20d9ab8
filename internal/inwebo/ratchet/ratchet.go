// Package ratchet computes what an inWebo device computes: proofs, keys and OTPs (docs/protocol.md §§2–6).
//
// It is pure: no clock, no network, no store; randomness arrives as an io.Reader. It never decides what to send,
// when, or what to do with a refusal.
package ratchet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/pimsd/pimsd/internal/secret"
)

// KeyDigits is the length of K0, K1 and secval as they enter every hash: lower-hex digits of 16 bytes.
const KeyDigits = 32

// State is what a device must never lose: the keys, and the secret that it drew at its activation.
// It holds nothing from which the PIN could be told or replaced.
type State struct {
	// Keys are the keys as far as they are known without a PIN; empty until the first accepted proof.
	Keys Keys
	// Unproven is what later answers made of the keys and only a PIN can open. It stays as sent until an accepted proof
	// confirms the PIN that opens it (docs/protocol.md §5, last but one paragraph).
	Unproven Move
	// Secret is 16 bytes, the same for every service; empty when the activation gave none.
	Secret secret.Bytes
	// Unopened is the Secval of a device that comes from another client without its PIN, KeyDigits hex digits; Secret is
	// empty then. It stays as it came until a proof has confirmed the PIN, because nothing in it can tell a wrong one, and
	// because inWebo may accept a proof without a look at its PIN. Then it is opened, once.
	Unopened secret.Text
}

// Keys are K0 and K1: KeyDigits lower-hex digits each.
type Keys struct{ K0, K1 secret.Text }

// Open returns the keys as the PIN behind kma opens them. With a wrong PIN they may be wrong, and nothing here can tell.
func (s State) Open(kma Kma) Keys { return s.Keys.apply(s.Unproven, kma) }

// NeedsPIN reports whether a wrong PIN would open the keys wrongly, so that inWebo refuses every proof made with them. A
// proof made with the keys of such a state confirms its PIN when inWebo accepts it; any other confirms nothing of the PIN.
func (s State) NeedsPIN() bool { return !s.Unproven.K0.IsEmpty() || !s.Unproven.K1.IsEmpty() }

// Accepted is the state after inWebo accepted a proof made with opened, and answered with move.
func (s State) Accepted(opened Keys, move Move) State {
	s.Keys, s.Unproven = opened, move
	return s.folded()
}

// Opened is the state after a proof has confirmed the PIN behind kma: the secret of a device that came without its PIN is
// known.
func (s State) Opened(kma Kma) State {
	if !s.Unopened.IsEmpty() {
		s.Secret, s.Unopened = kma.SecretOf(s.Unopened), secret.Text{}
	}
	return s
}

// Secval is what an OTP is made of in addition to K1. For a device whose secret has not been opened it is the one that came.
func (s State) Secval(kma Kma) secret.Text {
	if !s.Unopened.IsEmpty() {
		return s.Unopened
	}
	return kma.Secval(s.Secret)
}

// maxPending bounds the steps of K1 that wait for a PIN, in characters: 128 of the length that has been seen.
const maxPending = 4096

// Told is the state after an answer that carried a move but accepted no proof. HasRoomFor bounds how often.
func (s State) Told(move Move) State {
	s.Unproven = s.Unproven.then(move)
	return s.folded()
}

// HasRoomFor reports whether the state can be told the move: no more than maxPending of its steps then wait for a PIN, or
// none did before.
func (s State) HasRoomFor(move Move) bool {
	return len(s.Unproven.DK1) == 0 || s.Told(move).Unproven.pending() <= maxPending
}

// folded is the state with the steps that K1 takes, where K1 is known. They need no PIN.
func (s State) folded() State {
	if s.Unproven.K1.IsEmpty() {
		s.Keys = s.Keys.stepped(s.Unproven.DK1)
		s.Unproven.DK1 = nil
	}
	return s
}

// Move is what one or more answers say about the keys (docs/protocol.md §4). The zero Move changes nothing.
type Move struct {
	// K0 and K1 are as sent: KeyDigits hex digits, encrypted under Kma. Empty: unchanged.
	K0, K1 secret.Text
	// DK1 are the steps that K1 takes from there, oldest first.
	DK1 []secret.Text
}

// NewMove reads the fields K0, K1 and dK1 of an answer, each empty when the answer has none.
func NewMove(k0, k1, dK1 string) (Move, error) {
	for _, key := range [...]struct{ name, text string }{{"K0", k0}, {"K1", k1}} {
		if key.text != "" && !isKey(key.text) {
			return Move{}, fmt.Errorf("%s is not %d hex digits", key.name, KeyDigits)
		}
	}
	move := Move{K0: secret.NewText(k0), K1: secret.NewText(k1)}
	if dK1 != "" {
		move.DK1 = []secret.Text{secret.NewText(dK1)}
	}
	return move, nil
}

// IsEmpty reports whether the move changes nothing.
func (m Move) IsEmpty() bool { return m.K0.IsEmpty() && m.K1.IsEmpty() && len(m.DK1) == 0 }

// pending is the length of all steps together.
func (m Move) pending() (length int) {
	for _, step := range m.DK1 {
		length += len(step.Reveal())
	}
	return length
}

// then is m followed by next.
func (m Move) then(next Move) Move {
	if !next.K0.IsEmpty() {
		m.K0 = next.K0
	}
	if !next.K1.IsEmpty() {
		m.K1, m.DK1 = next.K1, nil
	}
	m.DK1 = append(slices.Clip(m.DK1), next.DK1...)
	return m
}

// apply returns the keys after move: K0 and K1 decrypted with kma, then each dK1.
func (k Keys) apply(move Move, kma Kma) Keys {
	if !move.K0.IsEmpty() {
		k.K0 = kma.decryptKey(move.K0)
	}
	if !move.K1.IsEmpty() {
		k.K1 = kma.decryptKey(move.K1)
	}
	return k.stepped(move.DK1)
}

// stepped is the keys after K1 has taken the steps.
func (k Keys) stepped(steps []secret.Text) Keys {
	for _, step := range steps {
		k.K1 = secret.NewText(hash(k.K1.Reveal(), step.Reveal())[:KeyDigits])
	}
	return k
}

// hash is SHA-256 over the parts joined by ";", as lower hex (docs/protocol.md §2).
func hash(parts ...string) string {
	text := make([]byte, 0, 256) // more than an OTP needs, so that it stays on the stack
	for i, part := range parts {
		if i > 0 {
			text = append(text, ';')
		}
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return string(hex.AppendEncode(text[:0], sum[:]))
}

func isKey(s string) bool {
	if len(s) != KeyDigits {
		return false
	}
	var key [KeyDigits / 2]byte
	_, err := hex.Decode(key[:], []byte(s))
	return err == nil
}
