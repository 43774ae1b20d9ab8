package inwebo_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// serveRaw gives each connection to handle, numbered from 0, and closes it when handle returns.
func serveRaw(t testing.TB, handle func(n int, conn *rawConn)) (url string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		done sync.WaitGroup
		mu   sync.Mutex
		open []net.Conn
	)
	done.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			done.Go(func() {
				defer func() { _ = conn.Close() }()
				handle(n, &rawConn{conn, bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		done.Wait()
	})
	return "http://" + listener.Addr().String()
}

type rawConn struct {
	net.Conn
	reader *bufio.Reader
}

// request reads one request; nil when the connection is over.
func (c *rawConn) request() *http.Request {
	request, err := http.ReadRequest(c.reader)
	if err != nil {
		return nil
	}
	return request
}

func (c *rawConn) say(format string, args ...any) { _, _ = fmt.Fprintf(c.Conn, format, args...) }

// answer says a whole answer, after which the connection stays alive.
func (c *rawConn) answer(body string) { c.say("%s", withLength(body)) }

// wait blocks until the other side, or the test, closes the connection.
func (c *rawConn) wait() { _, _ = io.Copy(io.Discard, c.reader) }

// hangUp ends what this side says, and nothing else, so that the other side reads an end and never a reset.
func (c *rawConn) hangUp() {
	c.closeWrite()
	c.wait()
}

func (c *rawConn) closeWrite() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// reset makes the next close a RST.
func (c *rawConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// The three ways in which HTTP/1.1 ends an answer.
func withLength(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func withClose(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n" + body
}

func withChunks(body string) string {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
	half := len(body) / 2
	return fmt.Sprintf("%s%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", head, half, body[:half], len(body)-half, body[half:])
}

// answering is a client whose requests all get body.
func answering(t testing.TB, body string) *client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return newClient(t, target(t, server.URL))
}
