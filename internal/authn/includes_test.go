package authn_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/authn"
)

// A grant includes another one exactly if it is good for every account that the other is good for.
func TestGrantIncludesGrant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOfN(rapid.SampledFrom([]rune("a1-")), 0, 4, -1)
		outer := authn.Grant{Backend: true, Prefix: name.Draw(t, "outer")}
		inner := authn.Grant{Backend: true, Prefix: name.Draw(t, "inner")}
		account := inner.Prefix + name.Draw(t, "rest")
		if account == "" {
			return
		}
		both := inner.IncludesAccount(account) && !outer.IncludesAccount(account)
		if outer.Includes(inner) && both {
			t.Fatalf("%q includes %q, and not its account %q", outer.Prefix, inner.Prefix, account)
		}
		witness := inner.Prefix + "~"
		if !outer.Includes(inner) && outer.IncludesAccount(witness) && (inner.Prefix == "" || outer.IncludesAccount(inner.Prefix)) {
			t.Fatalf("%q does not include %q, and includes %q and %q", outer.Prefix, inner.Prefix, witness, inner.Prefix)
		}
		bound := authn.Grant{Account: account}
		if outer.Includes(bound) != outer.IncludesAccount(account) || bound.Includes(inner) {
			t.Fatalf("%+v and %+v", outer, bound)
		}
	})
}

// Only a backend's key can administer.
func TestScopeAdminIsForBackends(t *testing.T) {
	t.Parallel()
	admin := authn.Scopes{authn.ScopeAdmin}
	if _, _, err := authn.NewKey(authn.Grant{Account: "alice", Scopes: admin}, noon, noon.Add(time.Second)); err == nil {
		t.Error("an account's key can administer")
	}
	if _, _, err := authn.NewKey(authn.Grant{Backend: true, Scopes: admin}, noon, noon.Add(time.Second)); err != nil {
		t.Error(err)
	}
}
