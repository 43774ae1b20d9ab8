package app

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pimsd/pimsd/internal/authn"
)

// What fetches of keys bring is logged when it changes, and signing keys that are left out are named, some of them.
func TestFetchesOfKeysAreLoggedWhenTheyChange(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zap.DebugLevel)
	l := newTokenLog(zap.New(core))
	leftOut := make([]authn.LeftOutKey, 10)
	for i := range leftOut {
		leftOut[i] = authn.LeftOutKey{KeyID: `"k"`, Why: "it is an RSA key of less than 2048 bits"}
	}
	refused := errors.New("connection refused")
	for _, fetch := range []struct {
		issuer string
		keys   authn.FetchedKeys
		err    error
	}{
		{"login", authn.FetchedKeys{Usable: 2}, nil},
		{"parts", authn.FetchedKeys{Usable: 2}, nil},
		{"login", authn.FetchedKeys{}, refused},
		{"login", authn.FetchedKeys{Usable: 2, LeftOut: leftOut}, nil},
	} {
		for range 3 {
			l.KeysFetched(fetch.issuer, fetch.keys, fetch.err)
		}
	}
	var got []string
	for _, entry := range logged.All() {
		got = append(got, entry.Message)
	}
	const fetched, failed = "fetched the keys of an issuer", "the keys of an issuer cannot be fetched"
	want := []string{fetched, fetched, failed, fetched, "signing keys of an issuer are left out: tokens that are signed with them are refused"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged is\n%s", strings.Join(got, "\n"))
	}
	named, _ := logged.All()[len(got)-1].ContextMap()["keys"].(string)
	if strings.Count(named, `key "k": it is an RSA key`) != maxLeftOut || !strings.HasSuffix(named, "; and 2 more") {
		t.Errorf("the keys are named as %s", named)
	}
}
