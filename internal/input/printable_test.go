package input_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/pimsd/pimsd/internal/input"
)

// tricky is a service name that writes a second row of a table, recolors the terminal, and turns its text around.
const tricky = "PSA\nvictim  idle\x1b[31m\u009b31m\u202e\u00a0\x7f"

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "",
		"Peugeot & Citroën 車": "Peugeot & Citroën 車",
		tricky:                `PSA\nvictim  idle\x1b[31m\u009b31m\u202e\u00a0\x7f`,
		"\xff\x9b":            `\xff\x9b`,
		"it's \"quoted\"":     `it's "quoted"`,
		"\U000e0041":          `\U000e0041`,
		"'":                   "'",
	} {
		if got := input.Printable(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := input.PrintableLines("one\ntwo\x1b"); got != "one\ntwo\\x1b" {
		t.Errorf("lines: %q", got)
	}
}

func TestPrintableJSONMeansTheSame(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "Citroën", tricky, "\U000e0041\U0001f697"} {
		raw, err := json.MarshalIndent(map[string]string{"service": text}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		escaped := input.PrintableJSON(raw)
		var got map[string]string
		if err := json.Unmarshal(escaped, &got); err != nil || got["service"] != text {
			t.Errorf("%q: %q, %v", text, got["service"], err)
		}
		if bad := strings.IndexFunc(string(escaped), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); bad >= 0 {
			t.Errorf("%q: %q", text, escaped)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "Citroën", tricky, "\xff", "\U000e0041"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := input.Printable(text)
		if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is shown as %q", text, shown)
		}
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if err := json.Unmarshal(raw, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(input.PrintableJSON(raw), &after); err != nil || before != after {
			t.Fatalf("%q became %q in JSON: %v", before, after, err)
		}
	})
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 accounts", 1: "1 account", 2: "2 accounts"} {
		if got := input.Count(n, "account"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
