package authn_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

// TestRecall: a key that was accepted is known without a look at the store, in the version in which it was accepted, until it expires or
// was found to be revoked. Nothing else is.
func TestRecall(t *testing.T) {
	t.Parallel()
	key, text := newKey(t, bound, noon.Add(time.Hour))
	store := &keyStore{keys: map[string]authn.Key{key.ID: key}, version: 7}
	now := noon
	keys := authn.NewKeys(store, func() time.Time { return now })
	recall := func(text string) (authn.Principal, authn.Version, bool) { return keys.Recall(secret.NewText(text)) }

	if _, _, ok := recall(text); ok {
		t.Error("a key is known that was never accepted")
	}
	accepted, err := keys.Authenticate(t.Context(), secret.NewText(text))
	if err != nil {
		t.Fatal(err)
	}
	store.asked = 0
	switch got, version, ok := recall(text); {
	case !ok || got.Name != accepted.Name || got.Account != accepted.Account || !got.Has(authn.ScopeOTP):
		t.Errorf("the key that was accepted as %v is known: %v, as %v", accepted, ok, got)
	case version != 7:
		t.Errorf("it is known in the version %d, want 7", version)
	}
	for _, other := range []string{"", "pims_" + key.ID, text[:len(text)-1] + flip(text[len(text)-1:]), strings.Replace(text, key.ID, "aaaaaaaaaaaa", 1)} {
		if _, _, ok := recall(other); ok {
			t.Errorf("a text of %d characters is known that is not the key's", len(other))
		}
	}
	if store.asked != 0 {
		t.Errorf("the store was asked %d times", store.asked)
	}
}

// TestRecallOfAKeyThatIsNotGoodAnyMore: expiry counts at once, and a key that was found to be revoked is forgotten.
func TestRecallOfAKeyThatIsNotGoodAnyMore(t *testing.T) {
	t.Parallel()
	expires, expiring := newKey(t, bound, noon.Add(time.Hour))
	revoked, text := newKey(t, bound, time.Time{})
	store := &keyStore{keys: map[string]authn.Key{expires.ID: expires, revoked.ID: revoked}, version: 7}
	now := noon
	keys := authn.NewKeys(store, func() time.Time { return now })
	for _, text := range []string{expiring, text} {
		if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); err != nil {
			t.Fatal(err)
		}
	}
	now = noon.Add(time.Hour)
	if _, _, ok := keys.Recall(secret.NewText(expiring)); ok {
		t.Error("a key is known that has expired")
	}
	revoked.RevokedAt = now
	store.keys[revoked.ID], store.version = revoked, 8
	if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); authn.ReasonOf(err) != authn.ReasonRevoked {
		t.Errorf("the key that was revoked: %v", err)
	}
	if _, _, ok := keys.Recall(secret.NewText(text)); ok {
		t.Error("a key is known that was found to be revoked")
	}
}

// TestHowManyKeysAreKnown: there is a bound.
func TestHowManyKeysAreKnown(t *testing.T) {
	t.Parallel()
	store := &keyStore{keys: map[string]authn.Key{}, version: 7}
	keys := authn.NewKeys(store, func() time.Time { return noon })
	texts := make([]string, authn.MaxAccepted+1)
	for i := range texts {
		key, text := newKey(t, bound, time.Time{})
		store.keys[key.ID], texts[i] = key, text
		if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); err != nil {
			t.Fatal(err)
		}
	}
	known := 0
	for _, text := range texts {
		if _, _, ok := keys.Recall(secret.NewText(text)); ok {
			known++
		}
	}
	if known == 0 || known > authn.MaxAccepted {
		t.Errorf("%d keys are known, want 1 to %d", known, authn.MaxAccepted)
	}
}

// TestKeysThatStayKnown: a known key that is looked up again makes no other one forgotten, however many are known.
func TestKeysThatStayKnown(t *testing.T) {
	t.Parallel()
	store := &keyStore{keys: map[string]authn.Key{}, version: 7}
	keys := authn.NewKeys(store, func() time.Time { return noon })
	texts := make([]string, authn.MaxAccepted)
	for i := range texts {
		key, text := newKey(t, bound, time.Time{})
		store.keys[key.ID], texts[i] = key, text
	}
	for _, text := range slices.Concat(texts, texts[:1]) {
		if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range texts {
		if _, _, ok := keys.Recall(secret.NewText(text)); !ok {
			t.Fatalf("key %d of %d is forgotten", i, len(texts))
		}
	}
}

// TestRecallOfAKeyThatIsGone: a key that was deleted, or replaced under its id, is known no longer than until that was found.
func TestRecallOfAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	deleted, ofDeleted := newKey(t, bound, time.Time{})
	replaced, ofReplaced := newKey(t, bound, time.Time{})
	store := &keyStore{keys: map[string]authn.Key{deleted.ID: deleted, replaced.ID: replaced}, version: 7}
	keys := authn.NewKeys(store, func() time.Time { return noon })
	authenticate := func(text string) error {
		_, err := keys.Authenticate(t.Context(), secret.NewText(text))
		return err
	}
	if err := errors.Join(authenticate(ofDeleted), authenticate(ofReplaced)); err != nil {
		t.Fatal(err)
	}
	delete(store.keys, deleted.ID)
	replaced.Hash[0]++
	store.keys[replaced.ID], store.version = replaced, 8
	for text, want := range map[string]authn.Reason{ofDeleted: authn.ReasonUnknown, ofReplaced: authn.ReasonWrongSecret} {
		if err := authenticate(text); authn.ReasonOf(err) != want {
			t.Errorf("the key is refused with %v, want the reason %s", err, want)
		}
		if _, _, ok := keys.Recall(secret.NewText(text)); ok {
			t.Errorf("a key is known that was found to be gone: %s", want)
		}
	}
}

// TestUseOfAKeyThatIsNotGoodAnyMore: to be recalled is no use of a key that is then found to be revoked.
func TestUseOfAKeyThatIsNotGoodAnyMore(t *testing.T) {
	t.Parallel()
	key, text := newKey(t, bound, time.Time{})
	store := &recorded{keyStore: keyStore{keys: map[string]authn.Key{key.ID: key}, version: 7}}
	now := noon
	keys := authn.NewKeys(store, func() time.Time { return now })
	if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); err != nil {
		t.Fatal(err)
	}
	key.RevokedAt = noon.Add(time.Minute)
	store.keys[key.ID], store.version = key, 8
	now = noon.Add(time.Hour)
	if _, _, ok := keys.Recall(secret.NewText(text)); !ok {
		t.Fatal("the key is not known")
	}
	if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); authn.ReasonOf(err) != authn.ReasonRevoked {
		t.Fatalf("the key that was revoked: %v", err)
	}
	if err := keys.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, used := range store.written {
		if at := used[key.ID]; at.After(key.RevokedAt) {
			t.Errorf("the key was used last at %v, and revoked at %v", at, key.RevokedAt)
		}
	}
}

// TestNoRecallWithoutAVersion: where the store knows no version of its keys, nothing could tell whether one was revoked.
func TestNoRecallWithoutAVersion(t *testing.T) {
	t.Parallel()
	key, text := newKey(t, bound, time.Time{})
	keys := authn.NewKeys(&keyStore{keys: map[string]authn.Key{key.ID: key}}, func() time.Time { return noon })
	if _, err := keys.Authenticate(t.Context(), secret.NewText(text)); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := keys.Recall(secret.NewText(text)); ok {
		t.Error("a key is known in no version of the keys")
	}
}
