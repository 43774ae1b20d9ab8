package config

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/pimsd/pimsd/internal/authn"
)

// issuerField is a name in an entry of the issuers' file, bound to its place in an Issuer: a text or a list.
type issuerField struct {
	name string
	text *string
	list *[]string
}

func fieldsOf(i *authn.Issuer) []issuerField {
	return []issuerField{
		{name: "name", text: &i.Name},
		{name: "url", text: &i.URL},
		{name: "jwks_url", text: &i.JWKSURL},
		{name: "audiences", list: &i.Audiences},
		{name: "algorithms", list: &i.Algorithms},
		{name: "typ", text: &i.Type},
		{name: "account_claim", text: &i.AccountClaim},
		{name: "account_prefix", text: &i.AccountPrefix},
		{name: "scopes", list: &i.Scopes},
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
