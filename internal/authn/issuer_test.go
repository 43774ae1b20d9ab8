package authn_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
)

func TestIssuersThatAreTaken(t *testing.T) {
	t.Parallel()
	alone := login()
	alone.AccountPrefix = "" // needed beside others only
	everything := parts()
	everything.Algorithms = strings.Fields("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA")
	everything.Scopes = strings.Fields("unlock enroll otp")
	local := login()
	for _, local.JWKSURL = range []string{"http://localhost:8080/keys", "http://127.0.0.1/keys?a=b", "http://[::1]:1/", "HTTPS://login.example"} {
		if err := authn.CheckIssuers([]authn.Issuer{local}); err != nil {
			t.Errorf("%s: %v", local.JWKSURL, err)
		}
	}
	for _, issuers := range [][]authn.Issuer{nil, {alone}, {login(), parts()}, {everything}} {
		if err := authn.CheckIssuers(issuers); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsOfAnIssuer(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*authn.Issuer){
		`name is "": give 1 to 32 of a-z, 0-9 and -`:                     func(i *authn.Issuer) { i.Name = "" },
		`name is "A:b": give`:                                            func(i *authn.Issuer) { i.Name = "A:b" },
		`name is "a\nb": give`:                                           func(i *authn.Issuer) { i.Name = "a\nb" },
		"name is \"" + strings.Repeat("n", 33):                           func(i *authn.Issuer) { i.Name = strings.Repeat("n", 33) },
		"url is missing":                                                 func(i *authn.Issuer) { i.URL = "" },
		"audiences is missing":                                           func(i *authn.Issuer) { i.Audiences = nil },
		"audiences is missing or has an empty one":                       func(i *authn.Issuer) { i.Audiences = []string{"pimsd", ""} },
		`algorithms has "HS256": give some of RS256`:                     func(i *authn.Issuer) { i.Algorithms = []string{"RS256", "HS256"} },
		`algorithms has "none"`:                                          func(i *authn.Issuer) { i.Algorithms = []string{"none"} },
		`algorithms has "rs256"`:                                         func(i *authn.Issuer) { i.Algorithms = []string{"rs256"} },
		`typ is "at jwt"`:                                                func(i *authn.Issuer) { i.Type = "at jwt" },
		`account_prefix is "ü"`:                                          func(i *authn.Issuer) { i.AccountPrefix = "ü" },
		`account_prefix is "` + strings.Repeat("/", 128):                 func(i *authn.Issuer) { i.AccountPrefix = strings.Repeat("/", 128) },
		`account_prefix is "fleet-1", which ends with a letter or digit`: func(i *authn.Issuer) { i.AccountPrefix = "fleet-1" },
		`such as "fleet-1/"`:                                             func(i *authn.Issuer) { i.AccountPrefix = "fleet-1" },
		`scopes has admin, which no token can have`:                      func(i *authn.Issuer) { i.Scopes = []string{"otp", "admin"} },
	} {
		issuer := login()
		change(&issuer)
		expectFaults(t, []authn.Issuer{issuer}, authn.IssuerFault{Index: 0, Problem: want})
	}
}

func TestAddressesOfKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "login.example/keys", "//login.example/keys", "http://login.example/keys", "http://localhost.example/", "http://10.0.0.1/keys",
		"https://user:pass@login.example/keys", "https://user@login.example/", "https://login.example/#keys", "https://", "https://:443/keys",
		"ftp://login.example/keys", "file:///etc/keys.json", "https://login.example/%zz",
	} {
		issuer := login()
		issuer.JWKSURL = address
		expectFaults(t, []authn.Issuer{issuer}, authn.IssuerFault{Index: 0, Problem: "jwks_url is not a URL for keys: use one that starts with https://"})
	}
}

func TestIssuersThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*authn.Issuer)
		want   string
	}{
		"name":                {func(i *authn.Issuer) { i.Name = "login" }, `name is "login", as that of an issuer before it`},
		"url":                 {func(i *authn.Issuer) { i.URL = loginURL }, `url is "https://login.example/", as that of an issuer before it`},
		"prefix":              {func(i *authn.Issuer) { i.AccountPrefix = "u-" }, "do not keep their accounts apart"},
		"no prefix":           {func(i *authn.Issuer) { i.AccountPrefix = "" }, "do not keep their accounts apart"},
		"a longer prefix":     {func(i *authn.Issuer) { i.AccountPrefix = "u-v-" }, `account_prefix "u-v-" and "u-" of login do not keep`},
		"a prefix of another": {func(i *authn.Issuer) { i.AccountPrefix = "u-v-" }, "give each issuer one, and none that another begins with"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := parts()
			tc.change(&second)
			expectFaults(t, []authn.Issuer{login(), second}, authn.IssuerFault{Index: 1, Problem: tc.want})
		})
	}
}

func TestAllFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := authn.NewTokens(authn.TokenConfig{Issuers: []authn.Issuer{{}, login(), {Name: "x", Algorithms: []string{"HS512"}}}})
	faults, _ := errors.AsType[authn.IssuerFaults](err)
	var got []string
	for _, f := range faults {
		word, _, _ := strings.Cut(f.Problem, " ")
		got = append(got, fmt.Sprint(f.Index, " ", word))
	}
	want := strings.Split("0 name,0 url,0 jwks_url,0 audiences,1 account_prefix,"+
		"2 url,2 jwks_url,2 audiences,2 algorithms,2 account_prefix,2 account_prefix", ",")
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if lines := strings.Count(err.Error(), "\n  issuer "); lines != len(want) {
		t.Errorf("the report has %d lines of faults:\n%v", lines, err)
	}
	if !strings.Contains(err.Error(), "\n  issuer 3: algorithms has") {
		t.Errorf("the report does not count the issuers from 1:\n%v", err)
	}
}

// expectFaults fails unless the only fault is the one that is wanted, of whose problem the beginning or a part will do.
func expectFaults(t *testing.T, issuers []authn.Issuer, want authn.IssuerFault) {
	t.Helper()
	_, err := authn.NewTokens(authn.TokenConfig{Issuers: issuers, Transport: &http.Transport{}})
	faults, _ := errors.AsType[authn.IssuerFaults](err)
	if len(faults) != 1 || faults[0].Index != want.Index || !strings.Contains(faults[0].Problem, want.Problem) {
		t.Errorf("the faults are %+v, want one that says %q", faults, want.Problem)
	}
}
