package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
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
	body, err := io.ReadAll(c.request.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
	}
	c.body = secret.NewBytes(body)
	return readObject(body)
}

// isJSON tells whether the one value is application/json. Its parameters say nothing: JSON is UTF-8 (RFC 8259 §8.1).
func isJSON(header []string) bool {
	if len(header) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(header[0])
	return err == nil && mediaType == "application/json"
}
