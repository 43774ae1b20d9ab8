package app

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// connections is a listener that has no more than so many connections open. At the limit, a new connection takes the place of
// the one that has been without a request for longest; while every one has a request, the new one waits. So a peer that
// connects and sends nothing keeps no other peer out.
type connections struct {
	net.Listener

	limit   int
	observe func(connectionEvent)

	mu      sync.Mutex
	changed *sync.Cond // what is below, so that a new connection may have a place
	open    int
	idle    list.List // of *connection without a request, that which has been so for longest first
	ended   bool
}

// connectionEvent is what a listener reports about its connections. Exactly one field is set.
type connectionEvent struct {
	Change int   // of the number of open connections
	Shed   bool  // one was closed for another
	Err    error // none could be accepted
}

// limitConnections puts a limit on a listener. observe must not block.
func limitConnections(l net.Listener, limit int, heard func(connectionEvent)) *connections {
	c := &connections{Listener: l, limit: limit, observe: heard}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// connection is one of them. Its place is free when it is closed.
type connection struct {
	*net.TCPConn // and so all that net/http knows to do with one

	owner   *connections
	closing sync.Once
	element *list.Element // in owner.idle; nil while it has a request
	closed  bool          // it is closed, or about to be
}

// Accept is as net.Listener says. It waits for a place, if need be.
func (l *connections) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		if !errors.Is(err, net.ErrClosed) {
			l.observe(connectionEvent{Err: err})
		}
		return nil, err
	}
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(errors.New("the listener is none of TCP"), accepted.Close())
	}
	c := &connection{TCPConn: tcp, owner: l}
	if !l.add(c) {
		return nil, errors.Join(net.ErrClosed, tcp.Close())
	}
	l.observe(connectionEvent{Change: +1})
	return c, nil
}

// add counts the connection as open, once the limit allows it, and reports false when the listener is closed before. It closes the
// connection that has been without a request for longest, if there is one.
func (l *connections) add(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.limit {
		oldest := l.idle.Front()
		switch {
		case oldest != nil:
			l.shed(oldest)
		case l.ended:
			return false
		default:
			l.changed.Wait()
		}
	}
	l.open++
	c.element = l.idle.PushBack(c)
	return true
}

// shed closes a connection without a request, of which none starts from then on. l.mu is locked, and is not meanwhile.
func (l *connections) shed(element *list.Element) {
	c, _ := element.Value.(*connection) // nothing else is ever put there
	c.closed = true
	l.removeFromIdle(c)
	l.mu.Unlock()
	defer l.mu.Lock()
	l.observe(connectionEvent{Shed: true})
	_ = c.Close() // whatever its peer thinks of it
}

// Close is as net.Listener says. Connections stay open.
func (l *connections) Close() error {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.changed.Broadcast()
	return l.Listener.Close()
}

// Close is as net.Conn says.
func (c *connection) Close() error {
	err := c.TCPConn.Close()
	c.closing.Do(func() {
		c.owner.remove(c)
		c.owner.observe(connectionEvent{Change: -1})
	})
	return err
}

func (l *connections) remove(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	c.closed = true
	l.removeFromIdle(c)
	l.changed.Signal()
}

// markBusy records that the connection has a request, and reports whether that can be answered.
func (l *connections) markBusy(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeFromIdle(c)
	return !c.closed
}

// markIdle records that the connection waits for its next request.
func (l *connections) markIdle(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return
	}
	l.removeFromIdle(c)
	c.element = l.idle.PushBack(c)
	l.changed.Signal()
}

func (l *connections) removeFromIdle(c *connection) {
	if c.element != nil {
		l.idle.Remove(c.element)
		c.element = nil
	}
}

// connectionKey is the key of a request's connection in its context.
type connectionKey struct{}

// trackRequests makes the server report which of its connections have requests: from the moment that the header is complete until the
// answer is sent. It is called before the server serves.
func (l *connections) trackRequests(server *http.Server) {
	next := server.Handler
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, underTLS(c))
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok && !l.markBusy(c) {
			panic(http.ErrAbortHandler) // no client would get the answer
		}
		next.ServeHTTP(w, r)
	})
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if c, ok := underTLS(conn).(*connection); ok && state == http.StateIdle {
			l.markIdle(c)
		}
	}
}

// underTLS is the connection itself, below the TLS that is spoken on it.
func underTLS(c net.Conn) net.Conn {
	if secured, ok := c.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return c
}
