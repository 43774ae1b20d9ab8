package devicefile

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/pimsd/pimsd/internal/input"
)

// firstOfPickle is the first byte of every pickle of the protocols that are read. No text begins with it.
const firstOfPickle = 0x80

// unwrap returns the pickle that the content of a file is, or that it has as base64. What it does not know it returns as it
// is, for the reader of pickles to refuse.
func unwrap(content []byte) ([]byte, error) {
	switch text := bytes.TrimSpace(input.Trim(content)); {
	case len(text) == 0:
		return nil, ErrEmpty
	case isArchive(content):
		return nil, ErrArchive
	case text[0] != firstOfPickle:
		switch decoded := decodeBase64(text); {
		case isArchive(decoded):
			return nil, fmt.Errorf("%w, as base64", ErrArchive)
		case len(decoded) > 0 && decoded[0] == firstOfPickle:
			return decoded, nil
		}
	}
	return content, nil
}

// isArchive reports whether the content begins as a ZIP or gzip file does.
func isArchive(content []byte) bool {
	return bytes.HasPrefix(content, []byte("PK\x03\x04")) || bytes.HasPrefix(content, []byte("PK\x05\x06")) ||
		bytes.HasPrefix(content, []byte{0x1f, 0x8b})
}

// decodeBase64 decodes base64 of the usual or of the URL kind, whatever lines it is broken into. It may be in quotes, as Python prints
// bytes. Of a text that is no base64 it returns nil.
func decodeBase64(text []byte) []byte {
	text = bytes.Join(bytes.Fields(text), nil)
	text = bytes.TrimRight(bytes.Trim(bytes.TrimPrefix(text, []byte("b'")), `'"`), "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if decoded, err := encoding.AppendDecode(nil, text); err == nil {
			return decoded
		}
	}
	return nil
}
