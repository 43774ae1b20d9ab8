package inwebo_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

const stranger = "<ActionFinalize><err>OK</err><id>stranger</id></ActionFinalize>"

// serveSecure is serveRaw over TLS.
func serveSecure(t testing.TB, certificate tls.Certificate, handle func(n int, conn *rawConn)) (url string) {
	t.Helper()
	base := serveRaw(t, func(n int, conn *rawConn) {
		secured := tls.Server(conn.Conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		handle(n, &rawConn{secured, bufio.NewReader(secured)})
	})
	return strings.Replace(base, "http:", "https:", 1)
}

// The first answer is whole, and something is odd about what surrounds it. The next request, of another account, never gets
// what belongs to the first: it goes out on a connection of its own.
func TestAConnectionWithAnOddEndIsNotUsedAgain(t *testing.T) {
	document := finalizeOf("<id>first</id>")
	length := func(n int) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n) }
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, answer := range map[string]string{
		"surplus bytes":                   length(len(document)) + document + "\n",
		"a second answer":                 withLength(document) + withLength(stranger),
		"a second answer behind chunks":   withChunks(document) + withLength(stranger),
		"a second answer within a length": length(len(document)+len(withLength(stranger))+1) + document + withLength(stranger),
		"one too long":                    length(len(document)+1) + document,
		"one too short":                   length(len(document)-1) + document,
		"no last chunk":                   chunked + fmt.Sprintf("%x\r\n%s\r\n", len(document), document),
		"half a last chunk":               chunked + fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(document), document),
		"no length":                       "HTTP/1.1 200 OK\r\n\r\n" + document,
		"to be closed":                    "HTTP/1.1 200 OK\r\nConnection: close\r\n" + strings.TrimPrefix(length(len(document)), "HTTP/1.1 200 OK\r\n") + document,
		"HTTP/1.0":                        strings.Replace(withLength(document), "HTTP/1.1", "HTTP/1.0", 1),
		"a status that is not read":       "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
		"a page that is not read on":      withLength("<html>" + strings.Repeat(" ", 100)),
	} {
		for kind, serve := range servers(t) {
			t.Run(kind+": "+name, func(t *testing.T) {
				base := serve(t, func(n int, conn *rawConn) {
					for request := conn.request(); request != nil; request = conn.request() {
						second := request.URL.Query().Get("id") == canary+"second"
						switch {
						case !second:
							conn.say("%s", answer)
						case n == 0:
							t.Error("the second request came on the first connection")
							fallthrough
						default:
							conn.answer(finalizeOf("<id>second</id>"))
						}
					}
				})
				first, err := base.MSFinalize(t.Context(), identity("first"), nil, canaryProofs)
				if odd := strings.HasSuffix(name, "read") || strings.HasSuffix(name, "read on"); (err == nil) == odd || err == nil && first.Sync.ID != "first" {
					t.Errorf("the first: %+v, %v", first, err)
				}
				second, err := base.MSFinalize(t.Context(), identity("second"), nil, canaryProofs)
				if err != nil || second.Sync.ID != "second" {
					t.Errorf("the second: %+v, %v", second, err)
				}
			})
		}
	}
}

// servers make a client of a server on plain connections, or over TLS.
func servers(t *testing.T) map[string]func(t *testing.T, handle func(int, *rawConn)) *client {
	t.Helper()
	ours := newAuthority(t)
	certificate := ours.issue(t, loopback())
	return map[string]func(t *testing.T, handle func(int, *rawConn)) *client{
		"plain": func(t *testing.T, handle func(int, *rawConn)) *client {
			t.Helper()
			return newClient(t, target(t, serveRaw(t, handle)))
		},
		"TLS": func(t *testing.T, handle func(int, *rawConn)) *client {
			t.Helper()
			config := target(t, serveSecure(t, certificate, handle))
			config.RootCAs = ours.pool()
			return newClient(t, config)
		},
	}
}

// A connection whose framing was read exactly to its end carries the next exchange, whichever framing that was.
func TestAConnectionWithAWholeAnswerIsUsedAgain(t *testing.T) {
	document := finalizeOf("")
	for name, answer := range map[string]string{
		"length":                    withLength(document),
		"chunks":                    withChunks(document),
		"chunks with a trailer":     strings.TrimSuffix(withChunks(document), "\r\n") + "X-A: c4n4ry\r\n\r\n",
		"blanks behind the root":    withLength(document + "\r\n<!-- c -->" + strings.Repeat(" ", 1000)),
		"gzip":                      withLength(zipped(document)),
		"HTTP/1.0, to be kept":      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + strings.TrimPrefix(withLength(document), "HTTP/1.1 200 OK\r\n"),
		"1xx before it":             "HTTP/1.1 103 Early\r\n\r\n" + withLength(document),
		"refused":                   withLength("<ActionFinalize><err>NOK:ACCESS</err></ActionFinalize>"),
		"an answer that is no step": withLength(finalizeOf("<K0>c4n4ry</K0>")),
	} {
		for kind, serve := range servers(t) {
			t.Run(kind+": "+name, func(t *testing.T) {
				c := serve(t, func(n int, conn *rawConn) {
					if n > 0 {
						t.Error("a second connection")
					}
					for conn.request() != nil {
						conn.say("%s", answer)
					}
				})
				for range 3 {
					_, _ = c.MSFinalize(t.Context(), identity(""), nil, canaryProofs)
				}
			})
		}
	}
}

// A connection on which something has arrived since its last exchange, an end above all, is not written to: a request on it
// would look like one whose answer was lost.
func TestAnIdleConnectionIsLookedAt(t *testing.T) {
	for name, since := range map[string]func(*rawConn){
		"closed": func(c *rawConn) { _ = c.Close() },
		"reset":  func(c *rawConn) { c.reset(); _ = c.Close() },
		"ended":  func(c *rawConn) { c.closeWrite() },
		"408":    func(c *rawConn) { c.say("HTTP/1.1 408 c4n4ry\r\nConnection: close\r\n\r\n") },
		"an answer to nothing": func(c *rawConn) {
			c.answer(stranger)
		},
	} {
		for kind, serve := range servers(t) {
			if kind == "TLS" && (name == "reset" || name == "ended") {
				continue // they are ways of TCP
			}
			t.Run(kind+": "+name, func(t *testing.T) {
				arrived := make(chan struct{}) // since has happened; on loopback what it sent is there then
				c := serve(t, func(n int, conn *rawConn) {
					if conn.request(); n > 0 {
						conn.answer(finalizeOf(""))
						conn.wait()
						return
					}
					conn.answer(finalizeOf(""))
					if conn.request(); true {
						conn.answer(finalizeOf(""))
						since(conn)
						close(arrived)
					}
					if conn.request() != nil {
						t.Error("a request came on it")
					}
				})
				for i := range 3 {
					if i == 2 {
						<-arrived
					}
					if _, err := c.MSFinalize(t.Context(), identity(""), nil, canaryProofs); err != nil {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
	}
}

// corked holds back what is written until it is uncorked, so that two records of TLS arrive at once.
type corked struct {
	net.Conn
	hold bool
	held []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if c.hold {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *corked) uncork() {
	c.hold = false
	_, _ = c.Conn.Write(c.held)
}

// TLS may have read the next record together with that of the answer: nothing of it can be seen on the TCP connection.
func TestARecordBehindTheAnswerIsNoAnswer(t *testing.T) {
	ours := newAuthority(t)
	certificate := ours.issue(t, loopback())
	base := serveRaw(t, func(n int, conn *rawConn) {
		cork := &corked{Conn: conn.Conn}
		secured := tls.Server(cork, &tls.Config{Certificates: []tls.Certificate{certificate}})
		tlsConn := &rawConn{secured, bufio.NewReader(secured)}
		tlsConn.request()
		if n > 0 {
			tlsConn.answer(finalizeOf("<id>second</id>"))
			tlsConn.wait()
			return
		}
		cork.hold = true
		tlsConn.answer(finalizeOf("<id>first</id>"))
		tlsConn.answer(stranger)
		cork.uncork()
		if tlsConn.request() != nil {
			t.Error("a request came on it")
		}
	})
	config := target(t, strings.Replace(base, "http:", "https:", 1))
	config.RootCAs = ours.pool()
	c := newClient(t, config)
	for _, want := range []string{"first", "second"} {
		got, err := c.MSFinalize(t.Context(), identity(""), nil, canaryProofs)
		if err != nil || got.Sync.ID != want {
			t.Errorf("%+v, %v; want the %s", got, err, want)
		}
	}
}

// Idle connections are closed when they have been idle for too long, whether or not there is another exchange.
func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := new(inwebo.Pool)
		var ends []net.Conn
		for range 3 {
			near, far := net.Pipe()
			ends = append(ends, far)
			pool.Put(near)
			time.Sleep(inwebo.IdleTimeout / 4)
		}
		if got := pool.Len(); got != 3 {
			t.Fatalf("%d are idle", got)
		}
		time.Sleep(inwebo.IdleTimeout)
		synctest.Wait()
		if got := pool.Len(); got != 0 {
			t.Errorf("%d are idle after the time-out", got)
		}
		for _, end := range ends {
			if _, err := end.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("a connection is not closed: %v", err)
			}
		}
	})
}

// No more connections are kept than there may be.
func TestIdleConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := new(inwebo.Pool)
		for range 300 {
			near, _ := net.Pipe()
			pool.Put(near)
		}
		if got := pool.Len(); got != 256 {
			t.Errorf("%d are idle", got)
		}
		pool.Close()
		if got := pool.Len(); got != 0 {
			t.Errorf("%d are idle after Close", got)
		}
	})
}
