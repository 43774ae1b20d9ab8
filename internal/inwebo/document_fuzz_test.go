package inwebo_test

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// FuzzDocument: refuse, or give fields that are the same when they are written and read again.
func FuzzDocument(f *testing.F) {
	for _, v := range readVectors(f) {
		for _, exchange := range v.exchanges() {
			f.Add([]byte(exchange.Response))
		}
	}
	for _, body := range taken {
		f.Add([]byte(body))
	}
	for _, test := range refused {
		if len(test.body) < maxAnswer {
			f.Add([]byte(test.body))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		document, err := inwebo.ParseDocument(text)
		if err != nil {
			return
		}
		written := write(t, document.Root(), document.Fields())
		if len(written) > maxAnswer {
			return
		}
		again, err := inwebo.ParseDocument(written)
		if err != nil {
			t.Fatalf("%q is taken; %q is refused: %v", text, written, err)
		}
		if again.Root() != document.Root() || !maps.EqualFunc(again.Fields(), document.Fields(), slices.Equal) {
			t.Errorf("%q is read as %v; %q as %v", text, document.Fields(), written, again.Fields())
		}
	})
}

// FuzzPlain: what is read as a plain document is read token by token as the same.
func FuzzPlain(f *testing.F) {
	for _, v := range readVectors(f) {
		for _, exchange := range v.exchanges() {
			f.Add([]byte(exchange.Response))
		}
	}
	for _, body := range taken {
		f.Add([]byte(body))
	}
	for _, test := range refused {
		if len(test.body) < maxAnswer {
			f.Add([]byte(test.body))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		plain, ok := inwebo.ParsePlain(text)
		if !ok {
			return
		}
		document, err := inwebo.ParseTokens(text)
		if err != nil {
			t.Fatalf("%q is read as %v, and refused token by token: %v", text, plain.Fields(), err)
		}
		if plain.Root() != document.Root() || !maps.EqualFunc(plain.Fields(), document.Fields(), slices.Equal) {
			t.Errorf("%q is read as %v; token by token as %v", text, plain.Fields(), document.Fields())
		}
	})
}

// What inWebo has been seen to answer is plain.
func TestRecordedAnswersArePlain(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		for _, exchange := range v.exchanges() {
			if _, ok := inwebo.ParsePlain([]byte(exchange.Response)); !ok {
				t.Errorf("not read as plain: %s", exchange.Response)
			}
		}
	}
}

func write(t *testing.T, root string, fields map[string][]string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("<" + root + ">")
	for name, values := range fields {
		for _, value := range values {
			b.WriteString("<" + name + ">")
			if err := xml.EscapeText(&b, []byte(value)); err != nil {
				t.Fatal(err)
			}
			b.WriteString("</" + name + ">")
		}
	}
	b.WriteString("</" + root + ">")
	return b.Bytes()
}
