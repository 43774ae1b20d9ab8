package inwebo

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// conn is a connection that carries exchanges, one after the other.
type conn struct {
	net.Conn // what is read and written: the TCP connection, or TLS over it
	reader   *bufio.Reader
	budget   int             // how many bytes may still be read from the network
	seen     []byte          // what was read from the network of the last answer, at most maxSeen
	tcp      syscall.RawConn // the TCP connection below; nil when there is none to look at
	since    time.Time       // when it became idle
}

// newConn wraps a connection over the TCP connection below it.
func newConn(over, below net.Conn) *conn {
	c := &conn{Conn: over}
	c.reader = bufio.NewReader(c)
	if below, ok := below.(syscall.Conn); ok {
		c.tcp, _ = below.SyscallConn() // without one, the connection is not looked at
	}
	return c
}

var errTooMuch = errors.New("more was sent than an answer may have")

// Read reads from the network, within the budget.
func (c *conn) Read(b []byte) (int, error) {
	if c.budget <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(b[:min(len(b), c.budget)])
	c.budget -= n
	c.seen = append(c.seen, b[:min(n, maxSeen-len(c.seen))]...)
	return n, err
}

// maxInformational bounds the answers with a status of 1xx, which precede the answer itself.
const maxInformational = 5

// send writes the request and reads the head of its answer. The caller owns the connection, and calls send once for each
// request: once Write was called, the request may have been acted upon.
func (c *conn) send(request []byte) (*http.Response, error) {
	c.seen = c.seen[:0]
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return c.readHead(nil)
}

// readHead reads the head of the answer to request, which is a GET when it is nil.
func (c *conn) readHead(request *http.Request) (*http.Response, error) {
	c.budget = maxAnswerBytes
	for range maxInformational {
		response, err := http.ReadResponse(c.reader, request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= http.StatusOK || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
	return nil, errTooMuch
}

// isFresh reports whether a connection that was read to its end can carry another exchange: nothing has arrived on it
// since, no end either. A connection that the server has closed would look like a lost answer.
func (c *conn) isFresh() bool {
	if _, isTLS := c.Conn.(*tls.Conn); isTLS && !c.isDrained() {
		return false
	}
	return c.tcp == nil || isQuiet(c.tcp)
}

// isDrained reports whether TLS has nothing left that it has read from the network already.
func (c *conn) isDrained() bool {
	c.interrupt() // so that it reads nothing from the network
	c.budget = 1
	_, err := c.reader.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// interrupt ends whatever waits for the connection.
func (c *conn) interrupt() { _ = c.SetDeadline(time.Unix(1, 0)) }

// readUntil bounds the next reads: they end after wait, and not later than deadline.
func (c *conn) readUntil(deadline time.Time, wait time.Duration) {
	if soon := time.Now().Add(wait); soon.Before(deadline) {
		deadline = soon
	}
	_ = c.SetReadDeadline(deadline)
}
