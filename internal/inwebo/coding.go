package inwebo

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"
)

// maxCodings is how often a body may be compressed: by the server, and again by a proxy.
const maxCodings = 2

// gzipMagic is the byte with which gzip begins, and no document.
const gzipMagic = 0x1f

// codings returns how the head of an answer says that its body is coded, in lower case.
func codings(head http.Header) (names []string) {
	for _, field := range []string{"Content-Encoding", "Transfer-Encoding"} {
		for name := range strings.SplitSeq(strings.ToLower(strings.Join(head[field], ",")), ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// unchunked returns the body without its chunks, when head says that it has some, and it begins like that.
func unchunked(head http.Header, body io.Reader) io.Reader {
	if !slices.Contains(codings(head), "chunked") {
		return body
	}
	text := bufio.NewReader(body)
	if first, err := text.Peek(1); err == nil && first[0] == '<' {
		return text
	}
	return httputil.NewChunkedReader(text)
}

// chunkLine is a line of a text that may be the head of a chunk.
var chunkLine = regexp.MustCompile(`\n[0-9A-Fa-f][^\n]*\n`)

var errChunks = errors.New("its chunks cannot be told from its values")

// hasChunkLine reports whether a value of a document that was read with the heads of its chunks may be such a head: that of
// "<id></id>" in two chunks, for example.
func (d *document) hasChunkLine() bool {
	return slices.ContainsFunc(d.children, func(c child) bool { return chunkLine.MatchString(d.texts[c.middle:c.end]) })
}

// isUnknownCoding reports whether a body that is coded like that is nothing that pimsd can decode.
func isUnknownCoding(name string) bool {
	return !slices.Contains([]string{"", "identity", "chunked", "gzip", "x-gzip", "deflate"}, name)
}

// decoder decodes what is compressed, and nothing else. It goes by how the body begins, because heads are wrong; the head must name
// deflate for the form of it that has no beginning of its own.
type decoder struct {
	from    io.Reader // decoded
	deflate bool      // the head names it
	found   bool      // something was compressed
	broken  bool      // what is compressed cannot be decoded
}

// decode begins to decode body. It waits for the first two bytes of it.
func (d *decoder) decode(body io.Reader) error {
	text := bufio.NewReader(body)
	for range maxCodings {
		begin, _ := text.Peek(2)
		decoded, err := d.next(text, begin)
		if d.broken = isCorrupt(err); err != nil {
			return err
		}
		if decoded == nil {
			break
		}
		d.found, text = true, bufio.NewReader(decoded)
	}
	d.from = text
	return nil
}

// next returns what decodes a text that begins so; nil when it is not compressed.
func (d *decoder) next(text *bufio.Reader, begin []byte) (io.Reader, error) {
	switch {
	case len(begin) == 0:
		return nil, nil
	case begin[0] == gzipMagic:
		first, err := gzip.NewReader(text)
		if err != nil {
			return nil, err
		}
		first.Multistream(false)
		return &members{text, first}, nil
	case len(begin) == 2 && begin[0] == 'x' && (uint(begin[0])<<8|uint(begin[1]))%31 == 0: // RFC 1950, section 2.2
		return zlib.NewReader(text)
	case d.deflate && !d.found && strings.IndexByte("< \t\r\n\xef\xfe\xff", begin[0]) < 0:
		return flate.NewReader(text), nil
	default:
		return nil, nil
	}
}

// Read reads what is decoded.
func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	d.broken = d.broken || isCorrupt(err)
	return n, err
}

// isCorrupt reports whether err is that of compressed bytes, and not of where they come from.
func isCorrupt(err error) bool {
	return is[flate.CorruptInputError](err) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrDictionary)
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
