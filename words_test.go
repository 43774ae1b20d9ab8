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

// retiredNames are identifiers and first words of file names that older code of this project used, with what replaced each. Words with
// another common meaning, such as note, last or part, are not among them.
func retiredNames() map[string]string {
	return map[string]string{
		"whenFree": "retryUntilFree", "undoHold": "recoverLease", "settleHoweverLong": "settleToCompletion", "settleBeside": "settleInBackground",
		"tryAnyTime": "tryDetached", "fetchBy": "refetch", "writeSurely": "writeVerified", "setOut": "acquirePermit",
		"survive": "recoverPanic", "undo": "closers", "keepHouse": "cleanup", "beAlive": "watchdog", "askItself": "probeSelf",
		"census": "accountStats", "Census": "AccountStats", "refuseLooseDurability": "requireDurability", "nuisance": "fault",
		"garble": "corrupt", "ordeal": "scenario", "rested": "cachedCount", "contest": "comparison", "lab": "env", "scales": "sizeRecorder",
		"floor": "baseline", "Truth": "DeviceState", "SetDeaf": "SetBlackhole",
	}
}

// No identifier and no file has a name that retiredNames lists.
func TestRetiredNames(t *testing.T) {
	t.Parallel()
	retired := retiredNames()
	for path, text := range readTexts(t) {
		if filepath.Ext(path) != ".go" || path == "words_test.go" {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".go"), "_")
		if name := retired[first]; name != "" {
			t.Errorf("%s: the file is named %s; use %s", path, first, name)
		}
		file := token.NewFileSet().AddFile(path, -1, len(text))
		var s scanner.Scanner
		s.Init(file, []byte(text), nil, 0)
		for kind := token.ILLEGAL; kind != token.EOF; {
			var at token.Pos
			var word string
			at, kind, word = s.Scan()
			if name := retired[word]; kind == token.IDENT && name != "" {
				t.Errorf("%s:%d: %s is retired; use %s, or a name that says what it is", path, file.Line(at), word, name)
			}
		}
	}
}

// countedNoun is a format that writes one thing as many: "1 accounts".
var countedNoun = regexp.MustCompile(`%d (?:accounts|records|lines|devices|API keys|answers|responses|revocations|activations|fields)\b`)

func TestCountsOfOneAreSingular(t *testing.T) {
	t.Parallel()
	for path, text := range readTexts(t) {
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testkit") || strings.HasPrefix(path, "bench") {
			continue
		}
		for _, passage := range proseOf(path, text) {
			if format := countedNoun.FindString(passage); format != "" && !strings.Contains(passage, "%d of %d accounts are moved") {
				t.Errorf("%s: %q: let input.Count write it", path, format)
			}
		}
	}
}
