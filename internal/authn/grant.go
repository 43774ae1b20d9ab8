package authn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Grant is what a principal may do, and for whom: either for one account, or as a backend for the accounts that a prefix
// covers.
type Grant struct {
	Account string // the one account; empty for a backend
	Backend bool
	Prefix  string // of the accounts of a backend; empty: of all of them
	Scopes  Scopes
}

// Has reports whether the scope is granted. Only a backend has ScopeAdmin, whatever is stored of the key.
func (g Grant) Has(scope Scope) bool {
	return slices.Contains(g.Scopes, scope) && (g.Backend || scope != ScopeAdmin)
}

// ResolveAccount returns the account that a request is for. header holds the values of the account header as they came:
// none, one, or too many. A backend must name an account there; who is bound to one may, and must then agree.
// It returns ErrAccountMissing, ErrAccountInvalid or ErrAccountForbidden. An empty value counts as missing.
func (g Grant) ResolveAccount(header []string) (account string, err error) {
	if len(header) > 1 {
		return "", ErrAccountInvalid
	}
	named := strings.Join(header, "")
	switch {
	case named != "" && !isAccount(named):
		return "", ErrAccountInvalid
	case !g.Backend && (g.Account == "" || named != "" && named != g.Account):
		return "", ErrAccountForbidden
	case !g.Backend:
		return g.Account, nil
	case named == "":
		return "", ErrAccountMissing
	case !covers(g.Prefix, named):
		return "", ErrAccountForbidden
	}
	return named, nil
}

// NamedAccount returns the account that a request with that header asks for, whether or not the grant includes it. It is empty
// when the request names none, or none that can be one.
func (g Grant) NamedAccount(header []string) string {
	named := strings.Join(header, "")
	switch {
	case named == "":
		return g.Account
	case len(header) > 1 || !isAccount(named):
		return ""
	default:
		return named
	}
}

// covers reports whether accounts with the prefix include the account: it is the prefix, or begins with it, and the prefix
// ends or the account goes on with a character that is neither letter nor digit. So fleet-1 does not include fleet-10, which
// is another fleet. The empty prefix includes all accounts.
func covers(prefix, account string) bool {
	rest, ok := strings.CutPrefix(account, prefix)
	return ok && (prefix == "" || rest == "" || !isAlphanumeric(prefix[len(prefix)-1]) || !isAlphanumeric(rest[0]))
}

// IncludesAccount reports whether the grant is good for the account.
func (g Grant) IncludesAccount(account string) bool {
	if !g.Backend {
		return g.Account != "" && g.Account == account
	}
	return covers(g.Prefix, account)
}

// Includes reports whether the grant is good for every account that the other one is good for.
func (g Grant) Includes(other Grant) bool {
	if !other.Backend {
		return g.IncludesAccount(other.Account)
	}
	return g.Backend && covers(g.Prefix, other.Prefix)
}

func isAlphanumeric(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// Covers says for which accounts the grant is good, for people.
func (g Grant) Covers() string {
	switch {
	case !g.Backend:
		return fmt.Sprintf("the account %q", g.Account)
	case g.Prefix == "":
		return "all accounts"
	case isAlphanumeric(g.Prefix[len(g.Prefix)-1]):
		return fmt.Sprintf("the account %q, and those that begin with it and go on with a character that is neither letter nor digit, "+
			"such as %q; not %q", g.Prefix, g.Prefix+"-1", g.Prefix+"0")
	default:
		return fmt.Sprintf("the accounts that begin with %q", g.Prefix)
	}
}

// check says in a sentence why nothing can be granted like that.
func (g Grant) check() error {
	switch {
	case g.Backend && g.Account != "":
		return errors.New("a key is either bound to one account or a backend's, not both")
	case !g.Backend && g.Account == "":
		return errors.New("a key needs an account that it is bound to, or must be a backend's")
	case !g.Backend && g.Prefix != "":
		return errors.New("only a backend's key has a prefix of accounts: a bound key names its account whole")
	case g.Account != "" && !isAccount(g.Account):
		return errors.New("the account of a key must be 1 to 128 printable ASCII characters, without a blank at either end")
	case g.Prefix != "" && !isPrefix(g.Prefix):
		return errors.New("the prefix of accounts must be at most 128 printable ASCII characters, and begin with no blank")
	case !g.Backend && slices.Contains(g.Scopes, ScopeAdmin):
		return errors.New("only a backend's key can have the scope admin: an account's key cannot administer accounts")
	}
	return nil
}

// maxAccountLength is the longest name of an account (docs/contract.md §3).
const maxAccountLength = 128

func isAccount(name string) bool { return isPrefix(name) && !strings.HasSuffix(name, " ") }

// isPrefix reports whether an account can begin with the text, or be named by it.
func isPrefix(text string) bool {
	return text != "" && len(text) <= maxAccountLength && !strings.HasPrefix(text, " ") &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// Scope is something that a principal may be allowed to do.
type Scope string

// The scopes of docs/contract.md §3.
const (
	ScopeOTP    Scope = "otp"    // ask for one-time passwords, and how the account stands
	ScopeEnroll Scope = "enroll" // enroll a device
	ScopeUnlock Scope = "unlock" // let the PIN guard forward guesses again
	// ScopeAdmin administers accounts and keys. Only a backend's API key can have it, never a token.
	ScopeAdmin Scope = "admin"
)

// Scopes are what is granted together.
type Scopes []Scope

// AllScopes returns every scope, in the order of the constants.
func AllScopes() Scopes { return append(AccountScopes(), ScopeAdmin) }

// AccountScopes returns the scopes that an account's key can have, in the order of the constants.
func AccountScopes() Scopes { return Scopes{ScopeOTP, ScopeEnroll, ScopeUnlock} }

// ParseScopes reads scopes from their names, each once and in the order of the constants. No name at all gives
// ScopeOTP alone.
func ParseScopes(names []string) (Scopes, error) {
	known := AllScopes()
	if len(names) == 0 {
		return Scopes{ScopeOTP}, nil
	}
	for _, name := range names {
		if !slices.Contains(known, Scope(name)) {
			return nil, fmt.Errorf("%q is no scope: the scopes are otp, enroll, unlock and admin", name)
		}
	}
	return slices.DeleteFunc(known, func(s Scope) bool { return !slices.Contains(names, string(s)) }), nil
}

// Names returns the scopes as ParseScopes reads them.
func (s Scopes) Names() []string {
	names := make([]string, len(s))
	for i, scope := range s {
		names[i] = string(scope)
	}
	return names
}
