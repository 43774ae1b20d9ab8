package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

// The check fetches the keys of each issuer, and says which signing keys are left out, and why.
func TestKeysOfIssuersAreLookedAt(t *testing.T) {
	t.Parallel()
	const (
		good = `{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		odd  = `{"kty":"from the future","kid":"new\n"}`
	)
	for name, tc := range map[string]struct {
		status  int
		body    string
		outcome Outcome
		detail  string
	}{
		"good":            {http.StatusOK, good, OutcomeOK, "1 can be used"},
		"one is left out": {http.StatusOK, good + "," + odd, OutcomeNote, `1 can be used; left out: key "new\n": its kty or crv is none that pimsd knows`},
		"all left out":    {http.StatusOK, odd, OutcomeFailed, `none can be used; left out: key "new\n": its kty or crv is none that pimsd knows`},
		"none":            {http.StatusOK, "", OutcomeFailed, "the JWKS has no key that can check a signature"},
		"not there":       {http.StatusNotFound, "", OutcomeFailed, "fetch the JWKS: the answer is HTTP 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, `{"keys":[`+tc.body+`]}`)
			}))
			defer server.Close()
			c := config.Default()
			c.JWT.Issuers = []authn.Issuer{{Name: "login", URL: "https://login.example/", JWKSURL: server.URL, Audiences: []string{"pimsd"}}}
			findings := inspectIssuers(t.Context(), c)
			if len(findings) != 2 || findings[1].What != "keys of issuer login" || findings[1].Outcome != tc.outcome || findings[1].Detail != tc.detail ||
				(findings[1].Advice == "") != (tc.outcome == OutcomeOK) || strings.Contains(findings[1].Detail, "\n") {
				t.Errorf("the findings are %+v", findings)
			}
		})
	}
}
