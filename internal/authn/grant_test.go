package authn_test

import (
	"slices"
	"strings"
	"testing"
	"time"

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
		"prefix, 9 behind":            {fleetOne, []string{"fleet-19"}, "", authn.ErrAccountForbidden},
		"prefix, A behind":            {fleetOne, []string{"fleet-1A"}, "", authn.ErrAccountForbidden},
		"prefix, Z behind":            {fleetOne, []string{"fleet-1Z"}, "", authn.ErrAccountForbidden},
		"prefix, a behind":            {fleetOne, []string{"fleet-1a"}, "", authn.ErrAccountForbidden},
		"prefix, z behind":            {fleetOne, []string{"fleet-1z"}, "", authn.ErrAccountForbidden},
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

// TestNamedAccount: the account that a request asks for is that of its header, or without one that of its key.
func TestNamedAccount(t *testing.T) {
	t.Parallel()
	alice, anyone := authn.Grant{Account: "alice"}, authn.Grant{Backend: true}
	for name, tc := range map[string]struct {
		grant  authn.Grant
		header []string
		want   string
	}{
		"bound, no header":      {alice, nil, "alice"},
		"bound, empty header":   {alice, []string{""}, "alice"},
		"bound, other account":  {alice, []string{"bob"}, "bob"},
		"bound, repeated":       {alice, []string{"bob", ""}, ""},
		"bound, malformed":      {alice, []string{"bob "}, ""},
		"backend, no header":    {anyone, nil, ""},
		"backend, any account":  {anyone, []string{"bob"}, "bob"},
		"backend, two accounts": {anyone, []string{"bob", "carol"}, ""},
	} {
		if got := tc.grant.NamedAccount(tc.header); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestIncludesAccount: a grant that is bound to an account is good for that one alone, and one that is bound to none for none.
func TestIncludesAccount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		grant   authn.Grant
		account string
		want    bool
	}{
		{authn.Grant{Account: "alice"}, "alice", true},
		{authn.Grant{Account: "alice"}, "bob", false},
		{authn.Grant{Account: "alice"}, "", false},
		{authn.Grant{}, "", false},
		{authn.Grant{}, "alice", false},
		{authn.Grant{Backend: true, Account: "alice"}, "bob", true},
	} {
		if got := tc.grant.IncludesAccount(tc.account); got != tc.want {
			t.Errorf("%+v and %q: %v, want %v", tc.grant, tc.account, got, tc.want)
		}
	}
}

// TestCovers: the text names the accounts that the grant is good for, and examples that agree with IncludesAccount.
func TestCovers(t *testing.T) {
	t.Parallel()
	for want, grant := range map[string]authn.Grant{
		`the account "alice"`:                   {Account: "alice"},
		"all accounts":                          {Backend: true},
		`the accounts that begin with "fleet-"`: {Backend: true, Prefix: "fleet-"},
		`the account "fleet1", and those that begin with it and go on with a character that is neither letter nor digit, ` +
			`such as "fleet1-1"; not "fleet10"`: {Backend: true, Prefix: "fleet1"},
	} {
		if got := grant.Covers(); got != want {
			t.Errorf("%+v covers %s, want %s", grant, got, want)
		}
	}
}

// TestHasSameRights: each right that differs makes a difference.
func TestHasSameRights(t *testing.T) {
	t.Parallel()
	whole := authn.Principal{
		Name:      "key:a",
		Grant:     authn.Grant{Account: "alice", Backend: true, Prefix: "al", Scopes: authn.Scopes{authn.ScopeOTP}},
		ExpiresAt: noon,
	}
	for name, tc := range map[string]struct {
		change func(*authn.Principal)
		want   bool
	}{
		"nothing": {func(*authn.Principal) {}, true},
		"expiry":  {func(p *authn.Principal) { p.ExpiresAt = noon.Add(time.Hour) }, true},
		"name":    {func(p *authn.Principal) { p.Name = "key:b" }, false},
		"account": {func(p *authn.Principal) { p.Account = "bob" }, false},
		"backend": {func(p *authn.Principal) { p.Backend = false }, false},
		"prefix":  {func(p *authn.Principal) { p.Prefix = "a" }, false},
		"scopes":  {func(p *authn.Principal) { p.Scopes = authn.AllScopes() }, false},
	} {
		other := whole
		tc.change(&other)
		if whole.HasSameRights(other) != tc.want || other.HasSameRights(whole) != tc.want {
			t.Errorf("other %s: the same rights are %v, want %v", name, !tc.want, tc.want)
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
