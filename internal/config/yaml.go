package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/pimsd/pimsd/internal/input"
)

// maxFileBytes is far above any file of settings, and bounds what a wrong path can cost.
const maxFileBytes = 64 << 10

// readYAML takes the settings of a file: sections of `name: value`, and nothing else that YAML knows.
func (l *loader) readYAML(name string, content []byte) {
	if body, ok := l.parseYAML(name, content); ok && body != nil {
		l.readSection(name, "", body)
	}
}

// parseYAML returns the one document of a file, nil when it is empty, and whether it is YAML.
func (l *loader) parseYAML(name string, content []byte) (body ast.Node, ok bool) {
	if len(content) > maxFileBytes {
		l.fault(name, "is larger than 64 KiB: that is no file of settings")
		return nil, false
	}
	if !utf8.Valid(content) {
		l.fault(name, "is not text in UTF-8: save it in that encoding")
		return nil, false
	}
	// Duplicates are looked for below: the parser would print what it takes for their name.
	file, err := parser.ParseBytes(input.Trim(content), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.faultYAML(name, content, err)
		return nil, false
	}
	if len(file.Docs) > 1 {
		l.fault(name, "holds several documents: keep one, without ---")
		return nil, false
	}
	for _, doc := range file.Docs {
		body = doc.Body
	}
	return body, true
}

// faultYAML reports where the file stops being YAML. The parser's own error would show the lines around, secrets included.
func (l *loader) faultYAML(name string, content []byte, err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		l.fault(name, "is not YAML")
		return
	}
	line := syntax.GetToken().Position.Line
	origin := fmt.Sprintf("%s:%d", name, line)
	if lines := bytes.Split(content, []byte("\n")); line <= len(lines) && bareIPv6.Match(lines[line-1]) {
		l.fault(origin, "is not YAML: put an IPv6 address in quotes, such as \"[::1]:8080\", since a bare [ begins a list")
		return
	}
	message, _, _ := strings.Cut(syntax.GetMessage(), `"`) // what is quoted is text of the file
	l.fault(origin, "is not YAML: %s; put a value with special characters in quotes", strings.TrimSpace(message))
}

// bareIPv6 matches a line with a value that begins with an IPv6 address in brackets.
var bareIPv6 = regexp.MustCompile(`(?:^|[\s{,])\w+:\s*\[[0-9A-Fa-f:.]+(%\w+)?\]`)

// readSection takes the settings below a prefix, which is empty or ends with a dot.
func (l *loader) readSection(name, prefix string, node ast.Node) {
	section := mapNode(node)
	if _, empty := node.(*ast.NullNode); empty { // all its lines are comments
		return
	}
	if section == nil {
		place := fmt.Sprintf("%s:%d %s", name, node.GetToken().Position.Line, strings.TrimSuffix(prefix, "."))
		l.fault(strings.TrimSpace(place), "is not a section: write lines of `name: value`")
		return
	}
	seen := map[string]bool{}
	for entries := section.MapRange(); entries.Next(); {
		word := entries.Key().GetToken().Value
		key := prefix + word
		origin := fmt.Sprintf("%s:%d %s", name, entries.Key().GetToken().Position.Line, key)
		switch {
		case seen[word]:
			l.fault(origin, "stands twice in its section: keep one")
		case l.isSection(key):
			l.readSection(name, key+".", entries.Value())
		default:
			l.readSetting(name, origin, key, word, entries.Value())
		}
		seen[word] = true
	}
}

// mapNode returns the section that a node is, or nil.
func mapNode(node ast.Node) ast.MapNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n
	case *ast.MappingValueNode:
		return n
	}
	return nil
}

func (l *loader) isSection(key string) bool {
	return slices.ContainsFunc(l.settings, func(s setting) bool { return strings.HasPrefix(s.Key, key+".") })
}

func (l *loader) readSetting(name, origin, key, word string, node ast.Node) {
	s, err := l.find(key, func(n settingName) string { return n.inYAML })
	if err == nil && strings.Contains(word, ".") {
		err = fmt.Errorf("is no setting: the nearest is %s", key)
	}
	if err != nil {
		l.fault(origin, "%v%s", err, dotHint(word))
		return
	}
	text, ok := scalarText(node)
	if !ok {
		l.fault(origin, "has no single value: write `%s: value`, "+
			"in quotes when it is empty or has special characters, or leave the line out", word)
		return
	}
	if s.Secret && !s.isFile && text != "" {
		l.config.fileWithSecrets = name
	}
	l.apply(s, fromFile, origin, text)
}

func dotHint(word string) string {
	if strings.Contains(word, ".") {
		return ", and a dot is written as a section with a line of its own"
	}
	return ""
}

// scalarText returns the text of a single value, as written: 0987 stays 0987.
func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}
