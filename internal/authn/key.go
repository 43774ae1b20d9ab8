package authn

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// The text of a key: pims_<id>_<secret>, both parts in lower-case base32 (a–z, 2–7). The id is public and names the
// key in listings and logs; the secret has 260 random bits.
const (
	keyScheme    = "pims_"
	keyIDLength  = 12
	secretLength = 2 * randomLength
	randomLength = 26 // characters of 5 random bits taken from one call of rand.Text
	base32Digits = "abcdefghijklmnopqrstuvwxyz234567"
)

// Key is what is kept of an API key. Nothing in it can be used to authenticate.
type Key struct {
	ID   string            // 12 characters, public
	Hash [sha256.Size]byte // SHA-256 of the key's whole text
	Grant
	CreatedAt  time.Time
	ExpiresAt  time.Time // the first moment at which it is not good any more; zero: never
	RevokedAt  time.Time // zero: it is not revoked
	LastUsedAt time.Time // a minute or so behind; zero: not known
	// Damage says, in a listing, why what is stored of the key cannot be read; of the other fields only ID counts then. It
	// is empty for a key that is whole.
	Damage string
}

// NewKey makes a key with what is granted; no scopes in it means ScopeOTP. now is the present, and expires the moment
// of expiry or the zero time for never; both count in microseconds. The text is what the caller will present: it is
// not kept anywhere and cannot be had again.
func NewKey(grant Grant, now, expires time.Time) (Key, secret.Text, error) {
	if len(grant.Scopes) == 0 {
		grant.Scopes = Scopes{ScopeOTP}
	}
	if err := grant.check(); err != nil {
		return Key{}, secret.Text{}, err
	}
	if !expires.IsZero() && !expires.After(now) {
		return Key{}, secret.Text{}, errors.New("the key would have expired already: use a time in the future")
	}
	id := random()[:keyIDLength]
	text := keyScheme + id + "_" + random() + random()
	key := Key{
		ID:        id,
		Hash:      sha256.Sum256([]byte(text)),
		Grant:     grant,
		CreatedAt: now.Truncate(time.Microsecond).UTC(),
		ExpiresAt: expires.Truncate(time.Microsecond).UTC(),
	}
	return key, secret.NewText(text), nil
}

// State returns in a word how the key stands: damaged, revoked, expired or good.
func (k Key) State(now time.Time) string {
	switch {
	case k.Damage != "":
		return "damaged"
	case !k.RevokedAt.IsZero():
		return "revoked"
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return "expired"
	default:
		return "good"
	}
}

// PrincipalName is the name of the principal that the key represents.
func (k Key) PrincipalName() string { return "key:" + k.ID }

// keyID returns the id in the text of a key, and whether the text has the form of one.
func keyID(text string) (id string, ok bool) {
	rest, schemed := strings.CutPrefix(text, keyScheme)
	id, hidden, cut := strings.Cut(rest, "_")
	ok = schemed && cut && len(id) == keyIDLength && len(hidden) == secretLength &&
		strings.Trim(id, base32Digits) == "" && strings.Trim(hidden, base32Digits) == ""
	return id, ok
}

// random returns 26 characters of base32, 130 bits.
func random() string { return strings.ToLower(rand.Text()[:randomLength]) }
