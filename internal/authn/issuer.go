package authn

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is one whose tokens are taken, and what they are good for (docs/contract.md §3).
type Issuer struct {
	Name          string   // for logs and principals: 1 to 32 of a–z, 0–9 and -
	URL           string   // the iss claim of its tokens, to the letter
	JWKSURL       string   // where its public keys are: https, or http on loopback
	Audiences     []string // a token must be meant for one of these
	Algorithms    []string // of signatures, none of them symmetric; empty: RS256, PS256, ES256, EdDSA
	Type          string   // the typ header of its tokens, such as at+jwt; empty: JWT, at+jwt, or no typ at all
	AccountClaim  string   // the claim that names the account; empty: sub
	AccountPrefix string   // what the account's name has before that; needed as soon as there are several issuers
	Scopes        []string // what its tokens allow; empty: otp
	Origin        string   // where it was configured, for errors: "issuers.yaml:3"; may be empty
}

// IssuerFault is one thing that is wrong with an issuer.
type IssuerFault struct {
	Index   int    // of the issuer, from 0
	Problem string // a sentence that starts with the name of the setting, as in the issuers' file
}

// IssuerFaults is everything that is wrong with the issuers.
type IssuerFaults []IssuerFault

// Error returns a line to each fault.
func (f IssuerFaults) Error() string {
	lines := []string{"the issuers of tokens cannot be used:"}
	for _, fault := range f {
		lines = append(lines, fmt.Sprintf("  issuer %d: %s", fault.Index+1, fault.Problem))
	}
	return strings.Join(lines, "\n")
}

// CheckIssuers returns everything that is wrong with issuers that are to be used together, as IssuerFaults, or nil.
func CheckIssuers(issuers []Issuer) error {
	var faults IssuerFaults
	for index, issuer := range issuers {
		for _, problem := range slices.Concat(issuer.problems(), issuer.conflicts(issuers[:index])) {
			faults = append(faults, IssuerFault{index, problem})
		}
	}
	if faults == nil {
		return nil
	}
	return faults
}

// problems says what is wrong with the issuer alone.
func (i Issuer) problems() (problems []string) {
	fault := func(broken bool, format string, args ...any) {
		if broken {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	fault(!regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(i.Name),
		"name is %q: give 1 to 32 of a-z, 0-9 and -, for the logs", i.Name)
	fault(i.URL == "", "url is missing: set it to what the iss claim of the issuer's tokens says, to the letter")
	fault(!isKeyURL(i.JWKSURL), "jwks_url is not a URL for keys: use one that starts with https://, without user and fragment "+
		"(http:// is for loopback alone)")
	fault(len(i.Audiences) == 0 || slices.Contains(i.Audiences, ""),
		"audiences is missing or has an empty one: give those that the aud claim of a token must name one of")
	for _, name := range i.Algorithms {
		fault(!slices.Contains(knownAlgorithms(), jose.SignatureAlgorithm(name)),
			"algorithms has %q: give some of %s", name, join(knownAlgorithms()))
	}
	fault(strings.ContainsAny(i.Type, " \t\r\n"),
		"typ is %q: set it to what the typ header of the issuer's tokens says, such as at+jwt", i.Type)
	fault(i.AccountPrefix != "" && (!isPrefix(i.AccountPrefix) || len(i.AccountPrefix) == maxAccountLength),
		"account_prefix is %q: give less than %d printable ASCII characters, the first of them no blank", i.AccountPrefix, maxAccountLength)
	fault(i.AccountPrefix != "" && isAlphanumeric(i.AccountPrefix[len(i.AccountPrefix)-1]),
		"account_prefix is %q, which ends with a letter or digit: the accounts of subjects that begin with one would be those of another "+
			"prefix, such as %q; end it with another character, such as %q", i.AccountPrefix, i.AccountPrefix+"0", i.AccountPrefix+"/")
	fault(slices.Contains(i.Scopes, string(ScopeAdmin)), "scopes has admin, which no token can have: make an API key for administration")
	if _, err := ParseScopes(i.Scopes); err != nil {
		fault(true, "scopes: %v", err)
	}
	return problems
}

// conflicts returns why the issuer cannot be used together with those before it.
func (i Issuer) conflicts(before []Issuer) (problems []string) {
	for _, other := range before {
		if i.Name != "" && other.Name == i.Name {
			problems = append(problems, fmt.Sprintf("name is %q, as that of an issuer before it: give each its own", i.Name))
		}
		if i.URL != "" && other.URL == i.URL {
			problems = append(problems, fmt.Sprintf("url is %q, as that of an issuer before it: keep one", i.URL))
		}
		if strings.HasPrefix(i.AccountPrefix, other.AccountPrefix) || strings.HasPrefix(other.AccountPrefix, i.AccountPrefix) {
			problems = append(problems, fmt.Sprintf("account_prefix %q and %q of %s do not keep their accounts apart: give each issuer one, "+
				"and none that another begins with", i.AccountPrefix, other.AccountPrefix, other.Name))
		}
	}
	return problems
}

// isKeyURL reports whether the URL is safe against replaced keys on the way.
func isKeyURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	loopback := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

// knownAlgorithms are those whose key for checking is of no use for signing.
func knownAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// signatureAlgorithms are those that the issuer's tokens may be signed with.
func (i Issuer) signatureAlgorithms() (algorithms []jose.SignatureAlgorithm) {
	if len(i.Algorithms) == 0 {
		return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	}
	for _, name := range i.Algorithms {
		algorithms = append(algorithms, jose.SignatureAlgorithm(name))
	}
	return algorithms
}

func join[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}
