package pimsd_test

import (
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bannedPhrases are what this project used to write for a caller, a process, a result or a place that has a name.
var bannedPhrases = regexp.MustCompile(`(?i)\b(?:tells whether|anew|lest|for who|whoever|gives? (?:the|a|an|it|what|one)|` +
	`who (?:calls|asks|has|waits|runs|wants|raises|stops)|nobody|comes? to nothing|left alone|stands? (?:in|for|there|before))\b`)

// Comments, messages and documents name the actor, and use the words of a new engineer: "returns", "reports whether", "again".
func TestPlainWords(t *testing.T) {
	t.Parallel()
	for path, text := range readTexts(t) {
		for _, passage := range proseOf(path, text) {
			if phrase := bannedPhrases.FindString(passage); phrase != "" && path != "words_test.go" {
				t.Errorf("%s: %q in: %s", path, phrase, strings.TrimSpace(passage))
			}
		}
	}
}

// proseOf returns what of a file is written for people: the comments of Go code and its strings of several words, and every line of
// another file.
func proseOf(path, text string) (prose []string) {
	switch filepath.Ext(path) {
	case ".sql": // a migration stays as it was released
		return nil
	case ".go":
	default:
		return strings.Split(text, "\n")
	}
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile(path, -1, len(text)), []byte(text), nil, scanner.ScanComments)
	for {
		switch _, kind, literal := s.Scan(); {
		case kind == token.EOF:
			return prose
		case kind == token.COMMENT, kind == token.STRING && strings.Contains(literal, " "):
			prose = append(prose, literal)
		}
	}
}
