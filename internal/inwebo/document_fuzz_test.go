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
