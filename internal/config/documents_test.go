package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/authn"
)

// This file makes the documents that are kept in the repository from the settings: docs/configuration.md and the schemas of the chart.

const manualHead = `# Configuration

<!-- Made from the settings themselves by «go test ./internal/config -update»: change them there. -->

Every setting has three names: one in the file, one in the environment, one as a flag. The environment wins over the file,
and flags win over both. «pimsd.example.yaml» is a file with every setting, commented out.

- The file is YAML: sections of «name: value». It is named by «` + EnvFile + `» or «--` + FlagFile + `»; without
  either, none is read.
- A name that is not known is an error, in the file and among the variables that start with «` + envPrefix + `». So is a
  value that is wrong, even where another one overrides it. All faults are reported at once, and pimsd does not start
  with any.
- A secret can be given as the name of a file that holds it, under its name with «_file» or «_FILE» added. Its value is
  no flag, since every user of a machine can read the arguments of its processes.
- A UTF-8 byte order mark at the start of a file or a value, and one line break at its end, do not count.
- Only the owner of a file with a secret may write it, its group may read it, and no other user may do anything with it: make it
  «0600» or «0640». Docker, Swarm and Kubernetes mount secrets with «0444», «0644» or «0660»: on tmpfs or a read-only mount
  these are accepted, with a warning.
- A duration is a number with its unit: «500ms», «15s», «2m», «30d».
`

// Manual returns docs/configuration.md.
func Manual() string {
	var b strings.Builder
	b.WriteString(strings.NewReplacer("«", "`", "»", "`").Replace(manualHead))
	for _, g := range Default().groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| setting | value | default | what it is, and what follows from it |\n|---|---|---|---|\n", g.Title)
		for _, s := range g.inFileOrder() {
			names := strings.Join(s.names(), "<br>")
			fmt.Fprintf(&b, "| %s | %s | %s | %s %s |\n", names, s.Unit, orEmpty(s.Preset), sentence(s.What), s.Effect)
		}
	}
	b.WriteString(issuersManual())
	return b.String()
}

// names returns all names of a setting, formatted as code.
func (s setting) names() []string {
	names := []string{s.Key, s.env()}
	if s.Secret {
		names = append(names, s.inFile().Key, s.inFile().env(), "--"+s.inFile().flag())
	} else {
		names = append(names, "--"+s.flag())
	}
	for i, name := range names {
		names[i] = "`" + name + "`"
	}
	return names
}

func orEmpty(preset string) string {
	if preset == "" {
		return "empty"
	}
	return "`" + preset + "`"
}

const issuersManualHead = `
## Issuers of tokens

The file that «jwt.issuers_file» names is a list, in YAML or JSON. What is left out has its default; a name that is not
known is an error here as well.

«««yaml
- name: login
  url: https://login.example.com/
  jwks_url: https://login.example.com/.well-known/jwks.json
  audiences: [pimsd]
  typ: at+jwt
  account_prefix: login/
- name: workshop
  url: https://workshop.example.com
  jwks_url: https://workshop.example.com/jwks
  audiences: [pims-otp, pims-enroll]
  algorithms: [ES256]
  account_claim: garage_id
  account_prefix: workshop/
  scopes: [otp, enroll]
«««

| name | default | what it is |
|---|---|---|
`

// issuerManual is what the manual says of a field of an issuer: its default, and what it is.
type issuerManual struct{ preset, what string }

func issuerManuals() map[string]issuerManual {
	return map[string]issuerManual{
		"name": {"required", "A name for logs and audit: 1 to 32 of `a-z`, `0-9` and `-`."},
		"url":  {"required", "What the `iss` claim of its tokens says, to the letter."},
		"jwks_url": {"required", "Where it publishes its keys (JWKS), `https://`; `http://` on loopback alone. Redirects are not followed. " +
			"Certificates of keys (`x5c`, `x5t`, `x5u`) are not looked at. Signing keys that cannot be used are left out; the log and " +
			"`pimsd check` name them. For tokens with an unknown `kid` the keys are fetched again, at most once in 3 seconds."},
		"audiences": {"required", "A list: the `aud` claim of a token must name one of these. It keeps out tokens that are meant for others, " +
			"ID tokens among them."},
		"algorithms": {"`[RS256, PS256, ES256, EdDSA]`", "A list of what its tokens may be signed with: `RS`, `PS` or `ES` with `256`, `384` or " +
			"`512`, and `EdDSA`."},
		"typ":           {"`JWT`, `at+jwt` or none", "What the `typ` header of its access tokens says, when it sets one: `at+jwt` keeps ID tokens out."},
		"account_claim": {"`sub`", "The claim that names the account, a text."},
		"account_prefix": {"empty", "What comes before that in the account's name. It ends with a character that is neither letter nor digit, " +
			"since `fleet-1` and a subject `0x` would name an account of `fleet-10`. Several issuers need different ones, none of which another " +
			"begins with."},
		"scopes": {"`[otp]`", "A list of what its tokens allow: `otp`, `enroll`, `unlock`."},
	}
}

func issuersManual() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(issuersManualHead, "«««", "```"))
	for _, field := range fieldsOf(new(authn.Issuer)) {
		manual := issuerManuals()[field.name]
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", field.name, manual.preset, manual.what)
	}
	return strings.NewReplacer("«", "`", "»", "`").Replace(b.String())
}

// Schemas returns JSON schemas of a file of settings and of a file of issuers, by name: "settings" and "issuers". Names, types and
// units are in them; what depends on several settings is not. The settings elsewhere take any value: what uses the schemas refuses them
// with an error of its own, which says where to give them.
func Schemas(elsewhere []string) map[string]any {
	root, sections := jsonSchema{}, map[string]jsonSchema{}
	for _, n := range namesOf(Default().settings()) {
		form := n.value.schema
		switch {
		case slices.Contains(elsewhere, n.inYAML):
			form = nil
		case form == nil || n.isFile:
			form = jsonSchema{"type": "string"}
		}
		described := jsonSchema{"description": sentence(strings.ReplaceAll(n.What, "`", ""))}
		maps.Copy(described, form)
		section, name, nested := strings.Cut(n.inYAML, ".")
		if !nested {
			root[section] = described
			continue
		}
		if sections[section] == nil {
			sections[section] = jsonSchema{}
			root[section] = closed(sections[section])
		}
		sections[section][name] = described
	}
	return map[string]any{"settings": closed(root), "issuers": issuersSchema()}
}

// closed is the schema of an object with these properties and no others.
func closed(properties jsonSchema) jsonSchema {
	return jsonSchema{"type": "object", "additionalProperties": false, "properties": properties}
}

func issuersSchema() jsonSchema {
	properties, required := jsonSchema{}, []string{}
	for _, field := range fieldsOf(new(authn.Issuer)) {
		form := jsonSchema{"type": "string"}
		if field.list != nil {
			form = jsonSchema{"type": "array", "items": jsonSchema{"type": "string"}, "minItems": 1}
		}
		properties[field.name] = form
		if issuerManuals()[field.name].preset == "required" {
			required = append(required, field.name)
		}
	}
	issuer := closed(properties)
	issuer["required"] = required
	return jsonSchema{"type": "array", "items": issuer}
}
