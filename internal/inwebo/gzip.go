package inwebo

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
)

// gzipMagic is the byte with which gzip begins, and no document.
const gzipMagic = 0x1f

// maxCompressions is how often an answer may be compressed: by the server, and again by a proxy.
const maxCompressions = 2

// unzipped reads what is compressed in from.
func unzipped(from io.Reader) (io.Reader, error) {
	text := bufio.NewReader(from)
	for range maxCompressions {
		first, err := gzip.NewReader(text)
		if err != nil {
			return nil, err
		}
		first.Multistream(false)
		text = bufio.NewReader(&members{text, first})
		if start, _ := text.Peek(1); len(start) == 0 || start[0] != gzipMagic {
			break
		}
	}
	return text, nil
}

// members reads gzip, which may have several members. It waits for the next one only when the document needs it.
type members struct {
	from   *bufio.Reader
	member *gzip.Reader
}

// Read reads the member, or the next one where it has ended.
func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.member.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if m.member.Reset(m.from) != nil {
			return 0, io.EOF
		}
		m.member.Multistream(false)
	}
}
