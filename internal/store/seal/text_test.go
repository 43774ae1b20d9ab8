package seal_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

func TestRingText(t *testing.T) {
	t.Parallel()
	one, two := idOf(t, line(1)), idOf(t, line(2))
	for name, tc := range map[string]struct {
		text string
		want []seal.KeyID
	}{
		"one key":                {line(1), []seal.KeyID{one}},
		"the first of two":       {line(2) + "\n" + line(1) + "\n", []seal.KeyID{two, one}},
		"with ids":               {string(one) + ":" + line(1) + "\n" + string(two) + ":" + line(2), []seal.KeyID{one, two}},
		"comments, blanks":       {"# keys\n\n \t" + line(1) + " \n#" + line(3) + "\n" + line(2), []seal.KeyID{one, two}},
		"with a byte order mark": {"\ufeff" + line(1) + "\r\n", []seal.KeyID{one}},
		"ends as on Windows":     {line(1) + "\r\n" + line(2) + "\r\n", []seal.KeyID{one, two}},
	} {
		keyring, err := seal.FromText("the keyring", secret.NewText(tc.text))
		if err != nil || !slices.Equal(keyring.Keys(), tc.want) || keyring.Current() != tc.want[0] {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestRingTextFaults(t *testing.T) {
	t.Parallel()
	id := string(idOf(t, line(1)))
	notKey := "is not a sealing key"
	for name, tc := range map[string]struct {
		text string
		want []string // all that the error must say
	}{
		"empty":             {"", []string{"the keyring has no sealing key"}},
		"only comments":     {"# a\n\n", []string{"the keyring has no sealing key"}},
		"not base64":        {"secret-" + line(1)[7:], []string{"the keyring: line 1 " + notKey}},
		"too short":         {base64.StdEncoding.EncodeToString(make([]byte, 31)), []string{"line 1 " + notKey}},
		"too long":          {base64.StdEncoding.EncodeToString(make([]byte, 33)), []string{"line 1 " + notKey}},
		"no padding":        {strings.TrimRight(line(1), "="), []string{"line 1 " + notKey}},
		"loose last bits":   {strings.TrimSuffix(line(1), "E=") + "F=", []string{"line 1 " + notKey}},
		"of the URL kind":   {strings.ReplaceAll(line(0xff), "/", "_"), []string{"line 1 " + notKey}},
		"split by a return": {line(1)[:20] + "\r" + line(1)[20:], []string{"line 1 " + notKey}},
		"a wrong id":        {"00000000:" + line(1), []string{"line 1 has an id that is not the key's", id}},
		"an empty id":       {":" + line(1), []string{"line 1 has an id"}},
		"an id in capitals": {strings.ToUpper(id) + ":" + line(1), []string{"line 1 has an id"}},
		"the wrong way":     {line(1) + ":" + id, []string{"line 1 " + notKey}},
		"a comment behind":  {line(1) + " # new", []string{"line 1 " + notKey}},
		"the same again":    {line(1) + "\n" + line(2) + "\n" + id + ":" + line(1), []string{"line 3 is the key of line 1 again"}},
		"several faults":    {"x\n" + line(1) + "\n00000000:" + line(2) + "\n\n" + line(1), []string{"line 1 ", "line 3 ", "line 5 "}},
	} {
		keyring, err := seal.FromText("the keyring", secret.NewText(tc.text))
		if err == nil || keyring != nil {
			t.Errorf("%s: it is taken", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error is %q, want one that says %q", name, err, want)
			}
		}
		for _, key := range []string{line(1), line(2), line(1)[8:], "00000000", "secret-"} {
			if strings.Contains(err.Error(), key) {
				t.Errorf("%s: the error quotes the line: %v", name, err)
			}
		}
	}
}

func TestRingTextRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		for _, n := range rapid.SliceOfNDistinct(rapid.Byte(), 1, 5, rapid.ID).Draw(t, "keys") {
			lines = append(lines, line(n))
		}
		keyring := keyringOf(t, lines...)
		if again := keyringOf(t, seal.Format(keyring)); !slices.Equal(again.Keys(), keyring.Keys()) {
			t.Fatalf("the keys %v, written and read again, are %v", keyring.Keys(), again.Keys())
		}
	})
}

// The key's own line is a ring.
func TestKeyText(t *testing.T) {
	t.Parallel()
	key, err := seal.NewKey(strings.NewReader(strings.Repeat("k", 32)))
	must(t, err)
	keyring := keyringOf(t, key.Text().Reveal())
	if keyring.Current() != key.ID() {
		t.Errorf("the text of key %s is that of %s", key.ID(), keyring.Current())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		printed := fmt.Sprintf(verb, key) + fmt.Sprintf(verb, keyring)
		if strings.Contains(printed, "kkk") || strings.Contains(printed, "6b6b6b") {
			t.Errorf("by %s a key prints itself: %s", verb, printed)
		}
	}
	if _, err := seal.NewKey(strings.NewReader("short")); err == nil {
		t.Error("a key is made of less than 32 bytes")
	}
}

func TestIsKeyID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"0123abcd": true, "0123ABCD": false, "0123abc": false, "0123ab": false, "0123abcdef": false, "0123abcx": false, "": false,
	} {
		if seal.IsKeyID(text) != want {
			t.Errorf("IsKeyID(%q) is %v", text, !want)
		}
	}
}
