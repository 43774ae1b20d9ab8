package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// jsonSchema is a JSON schema of draft 7.
type jsonSchema map[string]any

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
		described := jsonSchema{"description": sentence(strings.ReplaceAll(n.what, "`", ""))}
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
	for _, field := range new(Issuer).fields() {
		form := jsonSchema{"type": "string"}
		if field.list != nil {
			form = jsonSchema{"type": "array", "items": jsonSchema{"type": "string"}, "minItems": 1}
		}
		properties[field.name] = form
		if field.preset == "required" {
			required = append(required, field.name)
		}
	}
	issuer := closed(properties)
	issuer["required"] = required
	return jsonSchema{"type": "array", "items": issuer}
}

// matching is the schema of a text that the whole of the regular expression matches.
func matching(expr string) jsonSchema {
	return jsonSchema{"type": "string", "pattern": fmt.Sprintf("^(?:%s)$", expr)}
}
