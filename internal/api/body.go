package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// readMembers reads the request's body as one strict JSON object. The faults: content type, size, body, in that order.
func readMembers(c *call) ([]member, error) {
	if !isJSON(c.request.Header.Values("Content-Type")) {
		return nil, errContentType
	}
	for _, coding := range c.request.Header.Values("Content-Encoding") {
		if !strings.EqualFold(coding, "identity") {
			return nil, errContentEncoding
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](c.cut); ok {
		return nil, errTooLarge
	}
	if c.cut != nil {
		return nil, fmt.Errorf("%w: %w", errBody, c.cut)
	}
	return readObject(c.body.Reveal())
}

// isJSON tells whether the one value is application/json. Its parameters say nothing: JSON is UTF-8 (RFC 8259 §8.1).
func isJSON(header []string) bool {
	if len(header) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(header[0])
	return err == nil && mediaType == "application/json"
}
