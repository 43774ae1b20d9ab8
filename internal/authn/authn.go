// Package authn authenticates callers and says which accounts each may use (docs/contract.md §3).
//
// It checks API keys, and tokens (JWT) of configured issuers. It must not read the record of an account, and knows no HTTP status. A
// wrong, expired, revoked or missing credential is ErrUnauthenticated and must look the same to its caller; only the log may have its
// Reason.
package authn

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// Authenticator finds out whom a credential belongs to.
type Authenticator interface {
	// Authenticate returns the principal that the credential represents. An error that wraps ErrUnauthenticated, a
	// Refusal, means that it represents none; any other error, that it could not be found out.
	Authenticate(ctx context.Context, credential secret.Text) (Principal, error)
	// Recall returns the principal of a credential that is known from before, as Keys.Recall says, or that there is none.
	Recall(credential secret.Text) (Principal, Version, bool)
}

// What a caller is refused with. They carry nothing of the credential and nothing of what is stored.
var (
	// ErrUnauthenticated is the one answer to every credential that is not good; a Refusal has the reason.
	ErrUnauthenticated = errors.New("the request carries no valid credential")
	// ErrAccountMissing says that the principal must name an account and has not.
	ErrAccountMissing = errors.New("the account header is missing: a backend names the account that it calls for")
	// ErrAccountInvalid says that the account header is repeated, or cannot name an account.
	ErrAccountInvalid = errors.New("the account header must be given once, " +
		"with 1 to 128 printable ASCII characters and no blank at either end")
	// ErrAccountForbidden says that the principal may not act for the account that it names.
	ErrAccountForbidden = errors.New("the caller is not entitled to the account")
)

// Principal identifies the caller: a name and what comes with it. The zero Principal may act for no account.
type Principal struct {
	// Name is for logs and the audit log, such as "key:k3q7…". It is no secret.
	Name string
	Grant
	// ExpiresAt is when the caller's API key expires; the zero time for one that does not, and for a token.
	ExpiresAt time.Time
}

// HasSameRights reports whether other is the same caller, with the same rights.
func (p Principal) HasSameRights(other Principal) bool {
	return p.Name == other.Name && p.Account == other.Account && p.Backend == other.Backend && p.Prefix == other.Prefix &&
		slices.Equal(p.Scopes, other.Scopes)
}
