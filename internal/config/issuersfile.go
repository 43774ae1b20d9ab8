package config

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/pimsd/pimsd/internal/authn"
)

// issuerField is a name in an entry of the issuers' file, bound to its place in an Issuer: a text or a list.
type issuerField struct {
	name, preset, what string
	text               *string
	list               *[]string
}

func fieldsOf(i *authn.Issuer) []issuerField {
	return []issuerField{
		{name: "name", text: &i.Name, preset: "required", what: "A name for logs and audit: 1 to 32 of `a-z`, `0-9` and `-`."},
		{name: "url", text: &i.URL, preset: "required", what: "What the `iss` claim of its tokens says, to the letter."},
		{
			name: "jwks_url", text: &i.JWKSURL, preset: "required",
			what: "Where it publishes its keys (JWKS), `https://`; `http://` on loopback alone. Redirects are not followed. " +
				"Certificates of keys (`x5c`, `x5t`, `x5u`) are not looked at. Signing keys that cannot be used are left out; the log and " +
				"`pimsd check` name them. For tokens with an unknown `kid` the keys are fetched again, at most once in 3 seconds.",
		},
		{
			name: "audiences", list: &i.Audiences, preset: "required",
			what: "A list: the `aud` claim of a token must name one of these. It keeps out tokens that are meant for others, ID tokens among them.",
		},
		{
			name: "algorithms", list: &i.Algorithms, preset: "`[RS256, PS256, ES256, EdDSA]`",
			what: "A list of what its tokens may be signed with: `RS`, `PS` or `ES` with `256`, `384` or `512`, and `EdDSA`.",
		},
		{
			name: "typ", text: &i.Type, preset: "`JWT`, `at+jwt` or none",
			what: "What the `typ` header of its access tokens says, when it sets one: `at+jwt` keeps ID tokens out.",
		},
		{name: "account_claim", text: &i.AccountClaim, preset: "`sub`", what: "The claim that names the account, a text."},
		{
			name: "account_prefix", text: &i.AccountPrefix, preset: "empty",
			what: "What comes before that in the account's name. It ends with a character that is neither letter nor digit, since `fleet-1` " +
				"and a subject `0x` would name an account of `fleet-10`. Several issuers need different ones, none of which another begins with.",
		},
		{name: "scopes", list: &i.Scopes, preset: "`[otp]`", what: "A list of what its tokens allow: `otp`, `enroll`, `unlock`."},
	}
}

// readIssuers reads the file that a setting names, when there is one.
func (l *loader) readIssuers() {
	name, origin := l.config.JWT.IssuersFile, l.config.origin(issuersKey)
	if name == "" || l.broken[issuersKey] {
		return
	}
	content, err := l.in.ReadFile(name)
	if err != nil {
		l.fault(origin, "names a file that cannot be read: %v", err)
		return
	}
	body, ok := l.parseYAML(name, content)
	if !ok {
		return
	}
	list, ok := body.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		l.fault(name, "is not a list of issuers: begin each with a line of `- name: value`")
		return
	}
	for _, entry := range list.Values {
		l.readIssuer(name, entry)
	}
}

func (l *loader) readIssuer(file string, entry ast.Node) {
	issuer := authn.Issuer{Origin: fmt.Sprintf("%s:%d", file, entry.GetToken().Position.Line)}
	section := mapNode(entry)
	if section == nil {
		l.fault(issuer.Origin, "is not an issuer: write lines of `name: value`")
		return
	}
	fields := fieldsOf(&issuer)
	seen := map[string]bool{}
	for entries := section.MapRange(); entries.Next(); {
		key := entries.Key().GetToken()
		if len(seen) == 0 {
			issuer.Origin = fmt.Sprintf("%s:%d", file, key.Position.Line)
		}
		origin := fmt.Sprintf("%s:%d %s", file, key.Position.Line, key.Value)
		index := slices.IndexFunc(fields, func(f issuerField) bool { return f.name == key.Value })
		switch {
		case index < 0:
			l.fault(origin, "is no setting of an issuer: the nearest is %s", nearest(key.Value, fieldNames(fields)))
		case seen[key.Value]:
			l.fault(origin, "stands twice in its issuer: keep one")
		case !fields[index].take(entries.Value()):
			l.fault(origin, "has no such value: write %s", fields[index].form())
		}
		seen[key.Value] = true
	}
	l.config.JWT.Issuers = append(l.config.JWT.Issuers, issuer)
}

// take reads the value of the field, and reports whether it has the right form.
func (f issuerField) take(node ast.Node) (ok bool) {
	if f.text != nil {
		*f.text, ok = scalarText(node)
		return ok
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return false
	}
	for _, value := range list.Values {
		text, ok := scalarText(value)
		if !ok {
			return false
		}
		*f.list = append(*f.list, text)
	}
	return true
}

func (f issuerField) form() string {
	if f.text != nil {
		return "`" + f.name + ": value`, in quotes when it has special characters"
	}
	return "`" + f.name + ": [value, value]`"
}

func fieldNames(fields []issuerField) (names []string) {
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}
