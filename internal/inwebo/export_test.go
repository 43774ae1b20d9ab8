package inwebo

import (
	"net/http"
	"net/url"
	"testing"
)

// The reading of documents, opened to its law.
var ParseDocument = parseDocument

// NewTransport opens the transport, to show what it would do with a request that can be repeated.
var NewTransport = newTransport

// Root gives the name of the root.
func (d *document) Root() string { return d.root }

// Fields gives the children.
func (d *document) Fields() map[string][]string { return d.fields }

// Request opens what goes out.
func (c *Client) Request(t testing.TB, query url.Values) *http.Request {
	return c.request(t.Context(), query)
}
