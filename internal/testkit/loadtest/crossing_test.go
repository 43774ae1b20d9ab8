package loadtest_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
)

// crossing is where requests to inWebo part: those of one device and one action go one way, all others another. It reads
// requests, one on each connection, and passes answers on byte by byte, with the way in which they end.
type crossing struct {
	listener net.Listener
	straight string

	mu    sync.Mutex
	turns map[turn]string
	open  sync.WaitGroup
}

// turn is what a request is known by.
type turn struct{ id, action string }

func newCrossing(t *testing.T, straight string) *crossing {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crossing{listener: listener, straight: straight, turns: map[turn]string{}}
	c.open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.open.Go(func() { c.serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		c.open.Wait()
	})
	return c
}

// turn sends requests another way from now on; an empty address, straight again.
func (c *crossing) turn(id, action, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns[turn{id, action}] = address
}

func (c *crossing) way(id, action string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address := c.turns[turn{id, action}]; address != "" {
		return address
	}
	return c.straight
}

func (c *crossing) serve(from *net.TCPConn) {
	defer from.Close()
	request, err := http.ReadRequest(bufio.NewReader(from))
	if err != nil {
		return
	}
	query := request.URL.Query()
	to, err := net.Dial("tcp", c.way(query.Get("id"), query.Get("action")))
	if err != nil {
		return
	}
	defer to.Close()
	gone := make(chan struct{})
	go func() { // who asked has given up when reading ends
		defer close(gone)
		_, _ = io.Copy(io.Discard, from)
		_ = to.Close()
	}()
	request.Close = true
	if request.Write(to) == nil {
		if _, err = io.Copy(from, to); errors.Is(err, syscall.ECONNRESET) {
			_ = from.SetLinger(0) // the reset goes on
		}
	}
	_ = from.Close()
	<-gone
}
