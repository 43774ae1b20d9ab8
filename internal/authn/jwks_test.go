package authn_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// atServer returns an authenticator whose issuer login has its keys at an address of the server.
func atServer(t *testing.T, server *httptest.Server, heard *reasons) *authn.Tokens {
	t.Helper()
	t.Cleanup(server.Close)
	return newTokens(t, server.Client().Transport, at(noon), func(c *authn.TokenConfig) {
		c.Issuers[0].JWKSURL, c.KeysFetched = server.URL+"/keys", heard.KeysFetched
	})
}

func TestKeysOverTLS(t *testing.T) {
	t.Parallel()
	var agent atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent.Store(r.Method + " " + r.URL.Path + " " + r.UserAgent())
		_, _ = io.WriteString(w, text(object{"keys": loginKeys()}))
	}))
	heard := &reasons{}
	tokens := atServer(t, server, heard)
	expectTaken(t, tokens, good(noon, "ed"))
	if agent.Load() != "GET /keys pimsd" {
		t.Errorf("the request is %v", agent.Load())
	}
	if heard.keys.Usable != 4 || heard.err != nil {
		t.Errorf("the observer heard of %v keys and %v", heard.keys, heard.err)
	}
}

func TestAServerWithAnotherCertificateIsNotTheIssuer(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, text(object{"keys": loginKeys()}))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	tokens := newTokens(t, &http.Transport{}, at(noon), func(c *authn.TokenConfig) { c.Issuers[0].JWKSURL = server.URL })
	_, err := authenticate(t.Context(), tokens, good(noon, "ed"))
	expectWait(t, err, 10*time.Second)
}

// Each answer is no set of keys: the token cannot be judged, and no other issuer is asked.
func TestAnswersThatAreNoKeys(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the redirect was followed")
		_, _ = io.WriteString(w, text(object{"keys": loginKeys()}))
	}))
	t.Cleanup(elsewhere.Close)
	set := text(object{"keys": loginKeys()})
	for name, tc := range map[string]struct {
		status int
		body   string
		why    string
	}{
		"redirect":        {http.StatusFound, set, "HTTP 302"},
		"moved for good":  {http.StatusPermanentRedirect, set, "HTTP 308"},
		"error":           {http.StatusInternalServerError, set, "HTTP 500"},
		"created":         {http.StatusCreated, set, "HTTP 201"},
		"not found":       {http.StatusNotFound, "", "HTTP 404"},
		"empty":           {http.StatusOK, "", "not a JWKS"},
		"a web page":      {http.StatusOK, "<html>", "not a JWKS"},
		"no object":       {http.StatusOK, "[]", "not a JWKS"},
		"null":            {http.StatusOK, "null", "not a JWKS"},
		"no keys":         {http.StatusOK, `{"Keys":[]}`, "not a JWKS"},
		"keys no list":    {http.StatusOK, `{"keys":{}}`, "not a JWKS"},
		"keys null":       {http.StatusOK, `{"keys":null}`, "not a JWKS"},
		"keys twice":      {http.StatusOK, `{"keys":[],"keys":[]}`, "not a JWKS"},
		"cut":             {http.StatusOK, set[:len(set)-2], "not a JWKS"},
		"more behind":     {http.StatusOK, set + "{}", "not a JWKS"},
		"an empty list":   {http.StatusOK, `{"keys":[]}`, "no key that can check"},
		"keys of nothing": {http.StatusOK, `{"keys":[null,1,"x",[],{}]}`, "no key that can check"},
		"huge":            {http.StatusOK, set + strings.Repeat(" ", 1<<20), "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			_, err := authenticate(t.Context(), atServer(t, server, &reasons{}), good(noon, "ed"))
			expectWait(t, err, 10*time.Second)
			if err == nil || !strings.Contains(err.Error(), tc.why) {
				t.Errorf("got %v, want something about %q", err, tc.why)
			}
		})
	}
}

func TestTheLargestSet(t *testing.T) {
	t.Parallel()
	set := text(object{"keys": loginKeys()})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, set+strings.Repeat(" ", 1<<20-len(set)))
	}))
	expectTaken(t, atServer(t, server, &reasons{}), good(noon, "ed"))
}

// broken is a network whose every request panics.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { panic("broken") }

func TestAPanicOfAFetchEndsNothing(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, broken{}, at(noon))
	_, err := authenticate(t.Context(), tokens, good(noon, "ed"))
	expectWait(t, err, 10*time.Second)
}

// Keys that share a kid are told apart by what they are for.
func TestKeysThatShareAKid(t *testing.T) {
	t.Parallel()
	network := newInternet()
	network.keys[loginJWKS] = []any{
		published("k", otherKey().Public()), published("k", rsaKey().Public()), published("k", edKey().Public()),
		published("", ecKey().Public()),
	}
	tokens := newTokens(t, network, at(noon))
	expectTaken(t, tokens, sign(header("RS256", "k"), claims(), rsaKey()))
	expectTaken(t, tokens, good(noon, "k"))
	expectRefused(t, tokens, sign(header("ES256", "k"), claims(), ecKey()))
	expectRefused(t, tokens, sign(header("ES256", "k").but("kid", nil), claims(), ecKey()))
}
