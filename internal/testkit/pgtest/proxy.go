package pgtest

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/secret"
)

// Proxy passes connections on to a server until it falls silent, as a firewall does that forgets a connection, or a
// machine that is gone: no byte passes any more, in either direction, and nothing is closed.
type Proxy struct {
	listener  net.Listener
	server    string // host:port
	blackhole atomic.Bool
	end       atomic.Pointer[[]byte] // that silences a client's connection; nil: nothing does

	mu    sync.Mutex
	phase *phase // of the connections that are made now
	conns []net.Conn
	ended sync.WaitGroup
}

// phase is the time between two silences, or the lifetime of a connection that silences itself.
type phase struct {
	silent atomic.Bool
	end    []byte // what its client silences it by; nil: nothing
}

// NewProxy starts a proxy in front of the server of the URL, and returns it with the URL by which the database is reached
// through it. It ends with the test.
func NewProxy(t testing.TB, database secret.Text) (*Proxy, secret.Text) {
	t.Helper()
	through, err := url.Parse(database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, server: through.Host, phase: &phase{}}
	p.ended.Go(p.accept)
	t.Cleanup(p.close)
	through.Host = listener.Addr().String()
	return p, secret.NewText(through.String())
}

// Silence stops all traffic of the present connections. New ones work.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase.silent.Store(true)
	p.phase = &phase{}
}

// SetBlackhole makes new connections be accepted and never answered, or ends that.
func (p *Proxy) SetBlackhole(on bool) { p.blackhole.Store(on) }

// SilenceAt stops all traffic of each new connection when its client sends the text, which is not passed on.
func (p *Proxy) SilenceAt(text string) {
	end := []byte(text)
	p.end.Store(&end)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, client)
		p.mu.Unlock()
		if p.blackhole.Load() {
			continue
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, server)
		now := p.phase
		p.mu.Unlock()
		if end := p.end.Load(); end != nil {
			now = &phase{end: *end}
		}
		p.ended.Go(func() { now.copy(client, server, nil) })
		p.ended.Go(func() { now.copy(server, client, now.end) })
	}
}

// copy copies what one side sends to the other. In a silent phase, which begins with the text end unless it is nil, it goes on
// reading and drops everything.
func (e *phase) copy(to, from net.Conn, end []byte) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if end != nil && bytes.Contains(buffer[:n], end) {
			e.silent.Store(true)
		}
		if e.silent.Load() {
			if err != nil {
				return
			}
			continue
		}
		if n > 0 {
			_, _ = to.Write(buffer[:n]) // who cannot be written to is noticed by reading
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.ended.Wait()
}
