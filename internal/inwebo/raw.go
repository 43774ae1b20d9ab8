package inwebo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// maxSeen bounds what is remembered of an answer as it arrived: its head, and its body.
const maxSeen = 2 * maxAnswerBytes

// receiveOdd reads an answer whose head net/http refuses with why: a line without a colon, two lengths, a transfer encoding
// that is not known. Its document may be whole all the same. Where there is none, the error is that of why.
func (x *call) receiveOdd(ctx context.Context, why error) (answer, error) {
	if isCut(why) || !isHTTP(x.conn.seen) || ctx.Err() != nil {
		return answer{}, newFault(ctx, x.name, ErrNoAnswer, why)
	}
	x.response = headOf(x.conn.seen) //nolint:bodyclose // it has none
	a, _, err := x.receive(ctx)
	if is[*Fault](err) {
		x.response, x.body = nil, nil
		return answer{}, newFault(ctx, x.name, ErrNoAnswer, why)
	}
	return a, err
}

// newRawBody returns the body as it has arrived behind the header of the answer, regardless of its framing, and as it arrives
// from now on.
func newRawBody(c *conn, response *http.Response, deadline time.Time) *body {
	c.readUntil(deadline, drainTimeout)
	return &body{conn: c, response: response, deadline: deadline, framed: c.raw(), isRaw: true}
}

// isCut reports whether err is that of a connection, and not of what it carries.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || is[net.Error](err)
}

// raw reads what has arrived behind the header of the answer, and what still arrives, regardless of its framing.
func (c *conn) raw() io.Reader {
	_, behind := cutHead(c.seen)
	arrived := bytes.NewReader(bytes.Clone(behind))
	if len(c.seen) == maxSeen { // the rest of what has arrived is not there
		return arrived
	}
	c.budget = maxFramedBytes
	return io.MultiReader(arrived, c)
}

// cutHead returns the last of the heads with which an answer begins, without its empty line, and what is behind it.
func cutHead(seen []byte) (head, behind []byte) {
	for behind = seen; len(head) == 0 || bytes.HasPrefix(behind, protocolName); {
		end := emptyLine.FindIndex(behind)
		if end == nil {
			return head, behind
		}
		head, behind = behind[:end[0]], behind[end[1]:]
	}
	return head, behind
}

// isHTTP reports whether what has arrived could be an answer that HTTP carries, or a document.
func isHTTP(seen []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(seen), protocolName) || bytes.Contains(seen, []byte("<"))
}

var (
	protocolName  = []byte("HTTP/") //nolint:gochecknoglobals // nothing changes it
	emptyLine     = regexp.MustCompile(`\n\r?\n`)
	statusPattern = regexp.MustCompile(`^\s*HTTP/[0-9.]+[ \t]+([0-9]{3})\b`)
	codingPattern = regexp.MustCompile(`(?im)^(Content-Encoding|Transfer-Encoding)[ \t]*:([^\r\n]*)`)
)

// headOf returns as much of the head of an answer as can be read although net/http refuses it: its status, and how the body is
// coded. It has no Body.
func headOf(seen []byte) *http.Response {
	head, behind := cutHead(seen)
	if len(head) == 0 {
		head = behind
	}
	response := &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Header: http.Header{}}
	if found := statusPattern.FindSubmatch(head); found != nil {
		response.StatusCode, _ = strconv.Atoi(string(found[1])) // three digits
	}
	for _, found := range codingPattern.FindAllSubmatch(head, -1) {
		response.Header.Add(string(found[1]), string(found[2]))
	}
	return response
}
