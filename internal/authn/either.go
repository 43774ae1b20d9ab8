package authn

import (
	"context"
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
)

// Either authenticates callers by API keys and by tokens.
type Either struct {
	Keys, Tokens Authenticator
}

var _ Authenticator = Either{}

// Authenticate asks the authenticator that the form of the credential belongs to; no token starts as API keys do.
func (e Either) Authenticate(ctx context.Context, credential secret.Text) (Principal, error) {
	return e.of(credential).Authenticate(ctx, credential)
}

// Recall asks the same authenticator.
func (e Either) Recall(credential secret.Text) (Principal, Version, bool) {
	return e.of(credential).Recall(credential)
}

func (e Either) of(credential secret.Text) Authenticator {
	if strings.HasPrefix(credential.Reveal(), keyScheme) {
		return e.Keys
	}
	return e.Tokens
}
