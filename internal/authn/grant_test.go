package authn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
)

func TestResolveAccount(t *testing.T) {
	t.Parallel()
	var (
		alice  = authn.Grant{Account: "alice"}
		anyone = authn.Grant{Backend: true}
		fleet  = authn.Grant{Backend: true, Prefix: "fleet-"}

		fleetOne = authn.Grant{Backend: true, Prefix: "fleet-1"}
		longest  = strings.Repeat("x", 128)
	)
	for name, tc := range map[string]struct {
		grant  authn.Grant
		header []string
		want   string
		err    error
	}{
		"bound, no header":            {alice, nil, "alice", nil},
		"bound, empty header":         {alice, []string{""}, "alice", nil},
		"bound, agrees":               {alice, []string{"alice"}, "alice", nil},
		"bound, other account":        {alice, []string{"bob"}, "", authn.ErrAccountForbidden},
		"bound, other case":           {alice, []string{"Alice"}, "", authn.ErrAccountForbidden},
		"bound, repeated":             {alice, []string{"alice", "alice"}, "", authn.ErrAccountInvalid},
		"bound, malformed":            {alice, []string{"al\x00ice"}, "", authn.ErrAccountInvalid},
		"backend, no header":          {anyone, nil, "", authn.ErrAccountMissing},
		"backend, empty header":       {anyone, []string{""}, "", authn.ErrAccountMissing},
		"backend, any account":        {anyone, []string{"bob, the 2nd ~"}, "bob, the 2nd ~", nil},
		"backend, longest":            {anyone, []string{longest}, longest, nil},
		"backend, too long":           {anyone, []string{longest + "x"}, "", authn.ErrAccountInvalid},
		"backend, not ASCII":          {anyone, []string{"zoë"}, "", authn.ErrAccountInvalid},
		"backend, not UTF-8":          {anyone, []string{"a\xff"}, "", authn.ErrAccountInvalid},
		"backend, delete character":   {anyone, []string{"a\x7f"}, "", authn.ErrAccountInvalid},
		"backend, leading blank":      {anyone, []string{" bob"}, "", authn.ErrAccountInvalid},
		"backend, trailing blank":     {anyone, []string{"bob "}, "", authn.ErrAccountInvalid},
		"bound of old, no header":     {authn.Grant{Account: " old"}, nil, " old", nil},
		"prefix with a blank":         {authn.Grant{Backend: true, Prefix: "fleet "}, []string{"fleet 7"}, "fleet 7", nil},
		"backend, repeated":           {anyone, []string{"bob", "bob"}, "", authn.ErrAccountInvalid},
		"backend, empty twice":        {anyone, []string{"", ""}, "", authn.ErrAccountInvalid},
		"prefix, inside":              {fleet, []string{"fleet-7"}, "fleet-7", nil},
		"prefix, itself":              {fleet, []string{"fleet-"}, "fleet-", nil},
		"prefix, outside":             {fleet, []string{"fleet"}, "", authn.ErrAccountForbidden},
		"prefix, no header":           {fleet, nil, "", authn.ErrAccountMissing},
		"nothing granted":             {authn.Grant{}, nil, "", authn.ErrAccountForbidden},
		"nothing granted, named":      {authn.Grant{}, []string{"alice"}, "", authn.ErrAccountForbidden},
		"prefix, letter behind digit": {fleetOne, []string{"fleet-10"}, "", authn.ErrAccountForbidden},
		"prefix, upper case behind":   {fleetOne, []string{"fleet-1A"}, "", authn.ErrAccountForbidden},
		"prefix, lower case behind":   {fleetOne, []string{"fleet-1z"}, "", authn.ErrAccountForbidden},
		"prefix, dash behind":         {fleetOne, []string{"fleet-1-7"}, "fleet-1-7", nil},
		"prefix, tilde behind":        {fleetOne, []string{"fleet-1~"}, "fleet-1~", nil},
		"prefix, the account itself":  {fleetOne, []string{"fleet-1"}, "fleet-1", nil},
		"prefix, letter behind dash":  {fleet, []string{"fleet-a"}, "fleet-a", nil},
	} {
		got, err := tc.grant.ResolveAccount(tc.header)
		if got != tc.want || err != tc.err {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, tc.want, tc.err)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		names string
		want  string // empty: refused
	}{
		{"", "otp"},
		{"otp", "otp"},
		{"unlock", "unlock"},
		{"unlock otp enroll otp", "otp enroll unlock"},
		{"OTP", ""},
		{"admin otp", "otp admin"},
		{"otp admins", ""},
	} {
		scopes, err := authn.ParseScopes(strings.Fields(tc.names))
		if (err == nil) != (tc.want != "") || strings.Join(scopes.Names(), " ") != tc.want {
			t.Errorf("%q: %v, %v", tc.names, scopes, err)
		}
		grant := authn.Grant{Backend: true, Scopes: scopes}
		for _, scope := range []authn.Scope{authn.ScopeOTP, authn.ScopeEnroll, authn.ScopeUnlock, authn.ScopeAdmin, ""} {
			if grant.Has(scope) != slices.Contains(strings.Fields(tc.want), string(scope)) {
				t.Errorf("%q: Has(%q) is %v", tc.names, scope, grant.Has(scope))
			}
		}
	}
}

func TestAnAccountHasNoScopeOfAdministration(t *testing.T) {
	t.Parallel()
	grant := authn.Grant{Account: "alice", Scopes: authn.AllScopes()}
	if grant.Has(authn.ScopeAdmin) || !grant.Has(authn.ScopeUnlock) {
		t.Errorf("it has %v", grant.Scopes)
	}
}
