package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// readBody returns the request's body, which is one JSON object, in UTF-8 and with every name in any of its objects once. The faults:
// content type, size, body, in that order.
func readBody(c *call) ([]byte, error) {
	if !hasMediaType(c.request, "application/json") {
		return nil, errContentType
	}
	if err := c.wholeBody(); err != nil {
		return nil, err
	}
	body := jsontext.Value(c.body.Reveal())
	// Half a surrogate pair, which is escaped, is an invalid value and no invalid body.
	if !utf8.Valid(body) || body.Kind() != '{' || !body.IsValid(jsontext.AllowInvalidUTF8(true)) {
		return nil, errBody
	}
	return body, nil
}

// wholeBody refuses a body that is encoded, too large or cut off.
func (c *call) wholeBody() error {
	for _, coding := range c.request.Header.Values("Content-Encoding") {
		if !strings.EqualFold(coding, "identity") {
			return errContentEncoding
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](c.cut); ok {
		return errTooLarge
	}
	if c.cut != nil {
		return fmt.Errorf("%w: %w", errBody, c.cut)
	}
	return nil
}

// hasMediaType reports whether the request has one Content-Type, which is want. Its parameters do not matter: JSON is UTF-8
// (RFC 8259 §8.1).
func hasMediaType(r *http.Request, want string) bool {
	header := r.Header.Values("Content-Type")
	if len(header) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(header[0])
	return err == nil && mediaType == want
}
