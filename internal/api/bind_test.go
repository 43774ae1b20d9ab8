package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/api"
)

// The law: a body that is refused is not UTF-8, not JSON, not an object, or has more members written than encoding/json keeps: a name
// occurs twice. From every other encoding/json reads the same action and PIN.
func FuzzBind(f *testing.F) {
	for _, seed := range []string{
		aBody, `{}`, `[]`, `null`, `1e999`, `"\ud800"`, `{"a":{"b":[{"c":null}]}}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
		`{"a":[{"b":1,"b":1}]}`, `{"a":":","b":"\":"}`, `{"\ud800":1,"\udfff":2}`, "{\"\xff\":1}", `{"a":1}{}`, "\ufeff{}", `{"a":-0.0}`,
		`{"a" 1}`, `{"a":1,}`, `{,}`, `{"a":01}`, `{"a":1}x`, `{"a":tru}`, `{a:1}`, strings.Repeat("[", 99), strings.Repeat(`{"":`, 9) + "1" + strings.Repeat("}", 9),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		bound, isRead, err := api.Bind(body)
		var want map[string]json.RawMessage
		isObject := utf8.Valid(body) && json.Unmarshal(body, &want) == nil && want != nil
		if good := isObject && membersWritten(body) == membersKept(t, body); good != isRead {
			t.Fatalf("%q: refused with %v, want it read: %v", body, err, good)
		}
		if err != nil {
			return
		}
		var action, pin string
		for name, to := range map[string]*string{"action": &action, "pinCode": &pin} {
			if err := json.Unmarshal(want[name], to); err != nil || *to == "" {
				t.Errorf("%q: read, and the %s is %q (%v)", body, name, *to, err)
			}
		}
		if len(want) != 2 || bound.Action != action || bound.PIN.Reveal() != pin {
			t.Errorf("%q: read as %q and %q", body, bound.Action, bound.PIN.Reveal())
		}
	})
}

// membersWritten counts the members of all objects in valid JSON: each has the one colon outside texts.
func membersWritten(valid []byte) (n int) {
	inText, escaped := false, false
	for _, c := range valid {
		switch {
		case escaped:
			escaped = false
		case inText && c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		case c == ':' && !inText:
			n++
		}
	}
	return n
}

// membersKept counts the members that encoding/json keeps, of each name the last.
func membersKept(t *testing.T, valid []byte) int {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(valid)))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return membersIn(value)
}

func membersIn(value any) (n int) {
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			n += 1 + membersIn(v)
		}
	case []any:
		for _, v := range value {
			n += membersIn(v)
		}
	}
	return n
}

// Whatever tree of values is written down, one name written twice, anywhere, refuses it, and nothing else does.
func TestANameWrittenTwiceIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, twice := drawObject(t, 3)
		if _, isRead, err := api.Bind([]byte(text)); twice == isRead {
			t.Fatalf("%s: %v, a name occurs twice: %v", text, err, twice)
		}
	})
}

// drawObject draws an object: its names, its text, and whether a name occurs twice in it or deeper.
func drawObject(t *rapid.T, depth int) (text string, twice bool) {
	seen := map[string]bool{}
	var members []string
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		name := rapid.StringOf(rapid.RuneFrom([]rune(`ab"\é:`))).Draw(t, "name")
		value, deeper := drawValue(t, depth-1)
		twice = twice || deeper || seen[name]
		seen[name] = true
		members = append(members, quoted(t, name)+rapid.SampledFrom([]string{":", " : "}).Draw(t, "colon")+value)
	}
	return "{" + strings.Join(members, ",") + "}", twice
}

func drawValue(t *rapid.T, depth int) (text string, twice bool) {
	kinds := 4
	if depth <= 0 {
		kinds = 2
	}
	switch rapid.IntRange(1, kinds).Draw(t, "kind") {
	case 1:
		return rapid.SampledFrom([]string{"null", "true", "-1.5e400", "0"}).Draw(t, "literal"), false
	case 2:
		return quoted(t, rapid.String().Draw(t, "text")), false
	case 3:
		text, twice = drawObject(t, depth)
		return text, twice
	default:
		first, a := drawValue(t, depth-1)
		second, b := drawValue(t, depth-1)
		return "[" + first + "," + second + "]", a || b
	}
}

// quoted writes s as JSON does, or with every character escaped.
func quoted(t *rapid.T, s string) string {
	if rapid.Bool().Draw(t, "escaped") && strings.Trim(s, `ab"\é:`) == "" {
		var text strings.Builder
		for _, r := range s {
			fmt.Fprintf(&text, `\u%04x`, r)
		}
		return `"` + text.String() + `"`
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
