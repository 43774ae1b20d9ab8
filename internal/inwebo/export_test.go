package inwebo

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
)

// ParseDocument reads a whole document.
func ParseDocument(text []byte) (*document, error) {
	d, _, err := readDocument(bytes.NewReader(text))
	return d, err
}

// ParseDocumentFrom reads a document as it arrives.
func ParseDocumentFrom(from io.Reader) (*document, error) {
	d, _, err := readDocument(from)
	return d, err
}

// NewTransport opens the transport, to show what it would do with a request that can be repeated.
var NewTransport = newTransport

// Root gives the name of the root.
func (d *document) Root() string { return d.root }

// Fields gives the children by their names.
func (d *document) Fields() map[string][]string {
	fields := make(map[string][]string, len(d.children))
	for _, c := range d.children {
		fields[d.nameOf(c)] = append(fields[d.nameOf(c)], d.textOf(c))
	}
	return fields
}

// Request opens what goes out; parameters are names and values by turns.
func (c *Client) Request(t testing.TB, parameters ...string) *http.Request {
	q := &query{}
	for pair := range slices.Chunk(parameters, 2) {
		q.Set(pair[0], pair[1])
	}
	return c.request(t.Context(), q)
}

// DialFault returns the error of an exchange whose connection could not be made because of err.
func DialFault(name Exchange, err error) error { return new(sentTrace).fault(name, err) }
