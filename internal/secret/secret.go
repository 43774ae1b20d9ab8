// Package secret holds values that must not leave the process by accident: PINs, OTPs, keys, SMS codes, tokens.
//
// A secret does not print, log or marshal. The one way out is the method Reveal, so that `grep -rn 'Reveal()'`
// lists every place where a secret is used as what it is. The package must never offer a second way.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// Placeholder is what a secret prints as.
const Placeholder = "[secret]"

// ErrMarshal is the result of every attempt to marshal a secret: code that writes one down must call Reveal.
var ErrMarshal = errors.New("a secret is not marshalled; reveal it where it is meant to go")

// Text is a secret piece of text. The zero value is the empty text.
//
// The text lies behind a pointer to a string, the one kind that fmt prints as an address: it prints unexported
// fields without asking their methods, and follows pointers to slices and structs.
type Text struct{ text *string }

// NewText wraps s.
func NewText(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{&s}
}

// Reveal returns the text itself.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// IsEmpty reports whether there is nothing to hide.
func (t Text) IsEmpty() bool { return t.text == nil }

// Equal compares in a time that does not depend on where the texts differ.
func (t Text) Equal(u Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(u.Reveal())) == 1
}

// String returns the placeholder.
func (t Text) String() string { return Placeholder }

// Format returns the placeholder, whatever the verb.
func (t Text) Format(f fmt.State, _ rune) { writePlaceholder(f) }

// MarshalText refuses with ErrMarshal; so do JSON, YAML and XML, which ask it.
func (t Text) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// GobEncode refuses with ErrMarshal.
func (t Text) GobEncode() ([]byte, error) { return nil, ErrMarshal }

// Bytes is a secret run of bytes. The zero value is empty.
type Bytes struct{ text *string }

// NewBytes wraps a copy of b.
func NewBytes(b []byte) Bytes {
	if len(b) == 0 {
		return Bytes{}
	}
	s := string(b)
	return Bytes{&s}
}

// Reveal returns a copy of the bytes themselves.
func (b Bytes) Reveal() []byte {
	if b.text == nil {
		return nil
	}
	return []byte(*b.text)
}

// IsEmpty reports whether there is nothing to hide.
func (b Bytes) IsEmpty() bool { return b.text == nil }

// String returns the placeholder.
func (b Bytes) String() string { return Placeholder }

// Format returns the placeholder, whatever the verb.
func (b Bytes) Format(f fmt.State, _ rune) { writePlaceholder(f) }

// MarshalText refuses with ErrMarshal; so do JSON, YAML and XML, which ask it.
func (b Bytes) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// GobEncode refuses with ErrMarshal.
func (b Bytes) GobEncode() ([]byte, error) { return nil, ErrMarshal }

func writePlaceholder(w io.Writer) { _, _ = io.WriteString(w, Placeholder) }
