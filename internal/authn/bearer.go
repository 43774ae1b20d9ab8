package authn

import (
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
)

var (
	errNoCredential = refuse(ReasonMissing, "there is no Authorization header")
	errTwice        = refuse(ReasonMalformed, "there are several Authorization headers")
	errNotBearer    = refuse(ReasonMalformed, "the Authorization header is not the word Bearer and a credential")
)

// ParseBearer reads the values of the Authorization header as they came: there must be exactly one, with the scheme
// Bearer in any case, one or more blanks, and a token68 (RFC 9110 §11.4, RFC 6750 §2.1). Everything else is a Refusal.
func ParseBearer(header []string) (secret.Text, error) {
	switch {
	case len(header) == 0:
		return secret.Text{}, errNoCredential
	case len(header) > 1:
		return secret.Text{}, errTwice
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || !isToken68(token) {
		return secret.Text{}, errNotBearer
	}
	return secret.NewText(token), nil
}

// isToken68 reports whether text is letters, digits and -._~+/ with any number of = at the end.
func isToken68(text string) bool {
	const signs = "-._~+/"
	text = strings.TrimRight(text, "=")
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(signs, r)
	})
}
