package inwebo_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/pimsd/pimsd/internal/inwebo"
)

func addDocuments(f *testing.F) {
	f.Helper()
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
}

// FuzzDocument: a document is refused, or has fields that are the same when they are written and read again.
func FuzzDocument(f *testing.F) {
	addDocuments(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		document, err := inwebo.ParseDocument(text)
		if elements(document.Fields()) > 1024 {
			t.Fatalf("%q has %d elements", text, elements(document.Fields()))
		}
		if err != nil {
			return
		}
		written := write(document.Root(), document.Fields())
		if len(written) > maxAnswer {
			return
		}
		again, err := inwebo.ParseDocument(written)
		if err != nil {
			t.Fatalf("%q is taken; %q is refused: %v", text, written, err)
		}
		assertSameFields(t, text, document.Fields(), again.Fields())
	})
}

// FuzzEncodings: a document is the same in every encoding, however its bytes arrive.
func FuzzEncodings(f *testing.F) {
	addDocuments(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		want, err := inwebo.ParseDocument(text)
		bits, bitsErr := inwebo.ParseDocumentFrom(iotest.OneByteReader(bytes.NewReader(text)))
		if (err == nil) != (bitsErr == nil) {
			t.Fatalf("%q: %v; byte by byte: %v", text, err, bitsErr)
		}
		assertSameFields(t, text, want.Fields(), bits.Fields())
		if !bytes.HasPrefix(text, []byte("<Action")) || bytes.IndexByte(text, 0) == 1 || !utf8.Valid(text) {
			return
		}
		for name, encoded := range map[string]string{
			"UTF-8 with a mark":      "\ufeff" + string(text),
			"UTF-8, declared":        declaration + string(text),
			"little-endian":          inUTF16(string(text), binary.LittleEndian),
			"big-endian":             inUTF16(string(text), binary.BigEndian),
			"little-endian, a mark":  inUTF16("\ufeff"+string(text), binary.LittleEndian),
			"big-endian, a mark":     inUTF16("\ufeff"+string(text), binary.BigEndian),
			"big-endian, blank line": inUTF16("\r\n"+string(text), binary.BigEndian),
		} {
			if len(encoded) > maxAnswer {
				continue
			}
			got, gotErr := inwebo.ParseDocument([]byte(encoded))
			if (err == nil) != (gotErr == nil) {
				t.Fatalf("%q: %v; %s: %v", text, err, name, gotErr)
			}
			assertSameFields(t, encoded, want.Fields(), got.Fields())
		}
	})
}

func assertSameFields[T string | []byte](t *testing.T, text T, want, got map[string][]string) {
	t.Helper()
	if !maps.EqualFunc(want, got, slices.Equal) {
		t.Errorf("%q is read as %q; want %q", text, got, want)
	}
}

func elements(fields map[string][]string) (n int) {
	for _, values := range fields {
		n += len(values)
	}
	return n
}

// write writes a document with those fields. The prefix makes a name of what cannot begin one.
func write(root string, fields map[string][]string) []byte {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	var b strings.Builder
	b.WriteString("<" + root + ">")
	for name, values := range fields {
		for _, value := range values {
			b.WriteString("<x:" + name + ">" + escape.Replace(value) + "</x:" + name + ">")
		}
	}
	b.WriteString("</" + root + ">")
	return []byte(b.String())
}
