package inwebosim

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// delivery is one answer on its way to the client in an odd form.
type delivery struct {
	s           *Simulator
	w           http.ResponseWriter
	r           *http.Request
	body        []byte
	contentType string
	status      int           // 0 represents 200
	late        time.Duration // 0 leaves it to the form
}

// deliverForm sends the answer in its odd form.
func (s *Simulator) deliverForm(w http.ResponseWriter, r *http.Request, n *Fault, ans answer) {
	f := n.form()
	if f.send == nil {
		send(w, f.header(), n.body(ans))
		return
	}
	f.send(delivery{s: s, w: w, r: r, body: n.body(ans), contentType: f.header(), late: time.Duration(n.Interval)})
}

// whole sends the body with its length.
func (d delivery) whole(body []byte) {
	d.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	d.head()
	_, _ = d.w.Write(body) // a client that went away is not the server's concern
}

// stream sends a part of a chunked answer at once.
func (d delivery) stream(part []byte) {
	d.head()
	_, _ = d.w.Write(part)
	_ = http.NewResponseController(d.w).Flush()
}

func (d delivery) head() {
	if d.contentType != "" {
		d.w.Header().Set("Content-Type", d.contentType)
	}
	if d.status != 0 {
		d.w.WriteHeader(d.status)
	}
}

// wait waits as long as the fault says, or for the time of the form. It returns false when the client went away
// first, or the simulator stops.
func (d delivery) wait(usual time.Duration) bool {
	if d.late > 0 {
		usual = d.late
	}
	timer := time.NewTimer(usual)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.r.Context().Done():
	case <-d.s.stopping:
	}
	return false
}

// seize takes the connection away from the HTTP server and closes it when do returns.
func (d delivery) seize(do func(wire)) {
	conn, buffer, err := http.NewResponseController(d.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	do(wire{conn: conn, buffer: buffer.Writer, stopping: d.s.stopping})
}

// wire is a connection that the simulator writes to byte by byte.
type wire struct {
	conn     net.Conn
	buffer   *bufio.Writer
	stopping <-chan struct{}
}

// write sends the parts, which are texts or bytes, in one piece.
func (c wire) write(parts ...any) {
	for _, part := range parts {
		_, _ = fmt.Fprintf(c.buffer, "%s", part)
	}
	_ = c.buffer.Flush()
}

// reset makes the connection end with a reset when it is closed.
func (c wire) reset() {
	conn := c.plain()
	if conn == nil {
		return
	}
	_ = conn.SetLinger(0)
	_ = conn.Close() // a TLS connection is not to say goodbye first
}

// plain returns the connection below TLS; nil when it is none of TCP.
func (c wire) plain() *net.TCPConn {
	conn := c.conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	plain, _ := conn.(*net.TCPConn)
	return plain
}

// linger keeps the connection open until the client closes it or the simulator stops. What the client sends is
// not answered.
func (c wire) linger() {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c.conn)
	}()
	select {
	case <-gone:
	case <-c.stopping:
		_ = c.conn.Close()
		<-gone
	}
}

const (
	chunkedHead = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
	lastChunk   = "0\r\n\r\n"
	// surplus is an answer that would refuse whatever the next request on the connection asks.
	surplus = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 50\r\n\r\n" +
		"<ActionSetup><err>NOK:NODEVICE</err></ActionSetup>"
)

// lengthHead is the head of an answer of that length.
func lengthHead(length int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n", length)
}

// chunk is one chunk of a chunked body.
func chunk(part []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(part), part) }
