package authn

import (
	"context"
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
)

// Either authenticates callers by API keys and by tokens. It recalls keys alone: to judge a token asks no store.
type Either struct {
	*Keys

	Tokens *Tokens
}

var _ Authenticator = Either{}

// Authenticate asks the authenticator that the form of the credential belongs to; no token starts as API keys do.
func (e Either) Authenticate(ctx context.Context, credential secret.Text) (Principal, error) {
	if strings.HasPrefix(credential.Reveal(), keyScheme) {
		return e.Keys.Authenticate(ctx, credential)
	}
	return e.Tokens.Authenticate(ctx, credential)
}
