package authn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

// keyStore is a KeyStore with what the authenticator asks of it; it counts how often, and can fail.
type keyStore struct {
	authn.KeyStore
	keys    map[string]authn.Key
	version authn.Version
	err     error
	asked   int
}

func (r *keyStore) KeyByID(_ context.Context, id string) (authn.Key, authn.Version, error) {
	r.asked++
	if r.err != nil {
		return authn.Key{}, 0, r.err
	}
	key, ok := r.keys[id]
	if !ok {
		return authn.Key{}, 0, fmt.Errorf("look for it: %w", authn.ErrNoKey)
	}
	return key, r.version, nil
}

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	bound = authn.Grant{Account: "alice"}
)

func newKey(t *testing.T, grant authn.Grant, expires time.Time) (authn.Key, string) {
	t.Helper()
	key, text, err := authn.NewKey(grant, noon, expires)
	if err != nil {
		t.Fatal(err)
	}
	return key, text.Reveal()
}

func TestAKeyStandsForItsPrincipal(t *testing.T) {
	t.Parallel()
	for _, grant := range []authn.Grant{
		{Account: "alice", Scopes: authn.Scopes{authn.ScopeOTP, authn.ScopeUnlock}},
		{Backend: true, Prefix: "fleet-", Scopes: authn.Scopes{authn.ScopeEnroll}},
	} {
		key, text := newKey(t, grant, time.Time{})
		keys := authn.NewKeys(&keyStore{keys: map[string]authn.Key{key.ID: key}}, func() time.Time { return noon })
		got, err := keys.Authenticate(t.Context(), secret.NewText(text))
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != "key:"+key.ID || fmt.Sprint(got.Grant) != fmt.Sprint(grant) {
			t.Errorf("the key of %v identifies %v", grant, got)
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	good, text := newKey(t, bound, noon.Add(time.Hour))
	other, otherText := newKey(t, bound, time.Time{})
	revoked, revokedText := newKey(t, bound, time.Time{})
	revoked.RevokedAt = noon.Add(-time.Second)
	store := &keyStore{keys: map[string]authn.Key{good.ID: good, revoked.ID: revoked}}

	for name, tc := range map[string]struct {
		text   string
		now    time.Time
		asks   bool         // whether the store is asked at all
		reason authn.Reason // empty: it is taken
	}{
		"good":                   {text, noon, true, ""},
		"good until it expires":  {text, noon.Add(time.Hour - 1), true, ""},
		"expired":                {text, noon.Add(time.Hour), true, authn.ReasonExpired},
		"revoked":                {revokedText, noon, true, authn.ReasonRevoked},
		"not stored":             {otherText, noon, true, authn.ReasonUnknown},
		"another key's secret":   {strings.Replace(otherText, other.ID, good.ID, 1), noon, true, authn.ReasonWrongSecret},
		"last character changed": {text[:len(text)-1] + flip(text[len(text)-1:]), noon, true, authn.ReasonWrongSecret},
		"empty":                  {"", noon, false, authn.ReasonMalformed},
		"without its scheme":     {strings.TrimPrefix(text, "pims_"), noon, false, authn.ReasonMalformed},
		"other scheme":           {"PIMS_" + strings.TrimPrefix(text, "pims_"), noon, false, authn.ReasonMalformed},
		"cut":                    {text[:len(text)-1], noon, false, authn.ReasonMalformed},
		"longer":                 {text + "a", noon, false, authn.ReasonMalformed},
		"id alone":               {"pims_" + good.ID, noon, false, authn.ReasonMalformed},
		"upper case":             {"pims_" + strings.ToUpper(strings.TrimPrefix(text, "pims_")), noon, false, authn.ReasonMalformed},
		"a token of others":      {"eyJhbGciOiJub25lIn0.e30.", noon, false, authn.ReasonMalformed},
	} {
		store.asked = 0
		keys := authn.NewKeys(store, func() time.Time { return tc.now })
		got, err := keys.Authenticate(t.Context(), secret.NewText(tc.text))
		switch {
		case tc.reason == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case authn.ReasonOf(err) != tc.reason || errors.Is(err, authn.ErrUnauthenticated) != (tc.reason != ""):
			t.Errorf("%s: the error is %v, for the reason %q", name, err, authn.ReasonOf(err))
		case tc.reason != "" && got.Name != "":
			t.Errorf("%s: a principal comes with the error: %v", name, got)
		case tc.asks != (store.asked == 1):
			t.Errorf("%s: the store was asked %d times", name, store.asked)
		case err != nil && len(tc.text) > 30 && strings.Contains(err.Error(), tc.text[len(tc.text)-20:]):
			t.Errorf("%s: the error has something of the secret: %v", name, err)
		}
	}
}

// flip gives another character of base32.
func flip(c string) string {
	if c == "a" {
		return "b"
	}
	return "a"
}

func TestAFailureOfTheStoreIsNotABadCredential(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	_, text := newKey(t, bound, time.Time{})
	keys := authn.NewKeys(&keyStore{err: broken}, func() time.Time { return noon })
	_, err := keys.Authenticate(t.Context(), secret.NewText(text))
	if !errors.Is(err, broken) || errors.Is(err, authn.ErrUnauthenticated) {
		t.Errorf("the error is %v", err)
	}
}

func TestAKeyKeepsNothingOfItsSecret(t *testing.T) {
	t.Parallel()
	key, text := newKey(t, bound, time.Time{})
	hidden := text[strings.LastIndex(text, "_")+1:]
	if len(hidden) != 52 || len(key.ID) != 12 || !strings.HasPrefix(text, "pims_"+key.ID+"_") {
		t.Errorf("the key with the id %q has a text of %d characters, %d of them hidden", key.ID, len(text), len(hidden))
	}
	if kept := fmt.Sprintf("%+v %s %x", key, key.Hash, key.Hash); strings.Contains(kept, hidden) {
		t.Error("the secret is in what is kept of the key")
	}
	if again, _ := newKey(t, bound, time.Time{}); again.ID == key.ID || again.Hash == key.Hash {
		t.Error("two keys are alike")
	}
	if !key.CreatedAt.Equal(noon) || !key.ExpiresAt.IsZero() || key.Scopes[0] != authn.ScopeOTP || len(key.Scopes) != 1 {
		t.Errorf("a new key with nothing special is %+v", key)
	}
}

func TestKeysThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for want, grant := range map[string]authn.Grant{
		"not both":                 {Account: "alice", Backend: true},
		"needs an account":         {},
		"only a backend's key":     {Account: "alice", Prefix: "al"},
		"the account of a key":     {Account: "zoë"},
		"the prefix of accounts":   {Backend: true, Prefix: strings.Repeat("p", 129)},
		"expired already":          bound,
		"must be 1 to 128":         {Account: strings.Repeat("a", 129)},
		"prefix of accounts must ": {Backend: true, Prefix: "a\tb"},
	} {
		var expires time.Time
		if want == "expired already" {
			expires = noon
		}
		_, text, err := authn.NewKey(grant, noon, expires)
		if err == nil || !strings.Contains(err.Error(), want) || !text.IsEmpty() {
			t.Errorf("%+v: the error is %v, want one that says %q", grant, err, want)
		}
	}
}

// TestStateOfAKey: a word for people, which agrees with what the key is refused for.
func TestStateOfAKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key  authn.Key
		want string
	}{
		"without end":         {authn.Key{}, "good"},
		"a moment before":     {authn.Key{ExpiresAt: noon.Add(1)}, "good"},
		"at its end":          {authn.Key{ExpiresAt: noon}, "expired"},
		"after its end":       {authn.Key{ExpiresAt: noon.Add(-1)}, "expired"},
		"revoked":             {authn.Key{RevokedAt: noon.Add(-1)}, "revoked"},
		"revoked and expired": {authn.Key{RevokedAt: noon.Add(-2), ExpiresAt: noon.Add(-1)}, "revoked"},
		"damaged and revoked": {authn.Key{RevokedAt: noon.Add(-2), Damage: "its scopes cannot be read"}, "damaged"},
	} {
		if got := tc.key.State(noon); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
