package inwebo

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"slices"
	"time"
)

// body reads the body of an answer: decompressed where it is compressed, though no one asked for that, and no further
// than its reader needs. A document may be whole before its framing is, and even where its framing is wrong.
type body struct {
	conn     *conn
	response *http.Response
	deadline time.Time // of the exchange
	framed   io.Reader // the body as its framing says
	from     io.Reader // the body, decoded; nil before the first read
	decoder  decoder
	ended    bool // the framing was read to its end, but for the trailer behind chunks
	beyond   bool // it was read on behind the end of the framing

	isRaw bool  // it is read as it arrived, because its head cannot be
	fault error // why the connection brought no more
}

// endTimeout bounds the wait for the end of a framing whose document is whole, so that the connection can be used again.
const endTimeout = 25 * time.Millisecond

// maxFramedBytes bounds what a body may take on the network; chunks of one byte each make it six times as long.
const maxFramedBytes = 8 * maxAnswerBytes

func newBody(c *conn, response *http.Response, deadline time.Time) *body {
	if response.Body == nil {
		b := newRawBody(c, response, deadline)
		b.framed = unchunked(response.Header, b.framed)
		return b
	}
	c.budget = maxFramedBytes
	b := &body{conn: c, response: response, deadline: deadline, framed: response.Body}
	if b.isChunked() { // the reader of net/http waits for the trailer with the last bytes in hand
		b.framed = httputil.NewChunkedReader(c.reader)
		if first, err := c.reader.Peek(1); err == nil && first[0] == '<' { // there are no chunks
			return newRawBody(c, response, deadline)
		}
	}
	return b
}

func (b *body) isChunked() bool { return len(b.response.TransferEncoding) > 0 }

// Read reads the document.
func (b *body) Read(p []byte) (int, error) {
	if b.from != nil {
		return b.from.Read(p)
	}
	b.from = framing{b}
	n, err := b.from.Read(p)
	if n == 0 || p[0] == '<' {
		return n, err
	}
	b.decoder.deflate = slices.Contains(codings(b.response.Header), "deflate")
	if err := b.decoder.decode(io.MultiReader(bytes.NewReader(bytes.Clone(p[:n])), b.from)); err != nil {
		return 0, err
	}
	b.from = &b.decoder
	return b.from.Read(p)
}

// opaque returns why the body cannot be decoded; nil when nothing says that.
func (b *body) opaque() error {
	switch {
	case b.decoder.broken:
		return errCorrupt
	case slices.ContainsFunc(codings(b.response.Header), isUnknownCoding):
		return errUnknownCoding
	default:
		return nil
	}
}

var (
	errCorrupt       = errors.New("it is compressed, and broken")
	errUnknownCoding = errors.New("it is coded in a way that is not known")
)

// framing reads the body as its framing says, and notes where that ends.
type framing struct{ *body }

func (b framing) Read(p []byte) (int, error) {
	if b.ended {
		return b.readBeyond(p)
	}
	n, err := b.framed.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if b.ended = true; n == 0 {
			return b.readBeyond(p)
		}
		return n, nil
	case err != nil:
		b.fault = err
	}
	return n, err
}

// readBeyond reads what has arrived behind the end of a Content-Length that is too short for its document.
func (b *body) readBeyond(p []byte) (int, error) {
	if b.response.ContentLength < 0 {
		return 0, io.EOF
	}
	b.beyond = true
	wait := endTimeout
	if bytes.Count(b.conn.seen, []byte("Action")) == 1 { // the root has begun, and has not ended
		wait = drainTimeout
	}
	b.conn.readUntil(b.deadline, wait)
	n, err := b.conn.reader.Read(p)
	if err != nil {
		err = io.EOF // of the framing; nothing is missing on the connection
	}
	return n, err
}

// finish reads the framing to its end. It reports whether the connection can be used again.
func (b *body) finish() bool {
	if b.response.Close || b.isRaw || b.beyond || b.fault != nil {
		return false
	}
	if !b.ended {
		b.conn.readUntil(b.deadline, endTimeout)
		_, err := io.Copy(io.Discard, b.framed) // blanks or comments behind the document
		b.ended = err == nil
	}
	return b.ended && b.readTrailer() && b.conn.reader.Buffered() == 0
}

// readTrailer reads what ends chunks: lines up to an empty one.
func (b *body) readTrailer() bool {
	if !b.isChunked() {
		return true
	}
	b.conn.readUntil(b.deadline, endTimeout)
	for {
		line, err := b.conn.reader.ReadSlice('\n')
		if err != nil || len(bytes.TrimSpace(line)) == 0 {
			return err == nil
		}
	}
}
