package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/config"
)

// connectionCounts adds up what a listener tells of its connections.
type connectionCounts struct{ open, shed, failed atomic.Int64 }

func (c *connectionCounts) count(e connectionEvent) {
	c.open.Add(int64(e.Change))
	if e.Shed {
		c.shed.Add(1)
	}
	if e.Err != nil {
		c.failed.Add(1)
	}
}

// limitedListener serves a handler with at most so many connections.
func limitedListener(t *testing.T, limit int, handler http.HandlerFunc) (*listener, *connectionCounts) {
	t.Helper()
	counted := &connectionCounts{}
	bound, err := bind(t.Context(), "listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, err := openListener(listenerOptions{
		setting: "listen", bound: bound, handler: handler, connections: limit, observe: counted.count, logger: zap.NewNop(),
		timeouts: timeouts{header: time.Minute, read: time.Minute, write: time.Minute, idle: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { d.serve(failed) })
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		if n := counted.open.Load(); n != 0 {
			t.Errorf("%d connections are counted as open at the end", n)
		}
	})
	return d, counted
}

// peer is one end of a connection that speaks HTTP by hand.
type peer struct {
	net.Conn

	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, d *listener) *peer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", d.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		t.Fatal(err)
	}
	return &peer{conn, t, bufio.NewReader(conn)}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

const aRequest = "GET / HTTP/1.1\r\nHost: pimsd\r\n\r\n"

// answer reads an answer, whose body is then read too.
func (p *peer) answer() string {
	p.t.Helper()
	response, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// wantClosed waits until the other end has closed the connection.
func (p *peer) wantClosed() {
	p.t.Helper()
	if n, err := p.r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("the connection is open: %d bytes, %v", n, err)
	}
}

func greet(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// Peers that connect and send nothing, or half a header, keep no caller out: the one that has waited longest goes.
func TestIdlePeersKeepNoCallerOut(t *testing.T) {
	d, counted := limitedListener(t, 3, greet)
	silent, slow, used := dial(t, d), dial(t, d), dial(t, d)
	slow.send("GET / HTTP/1.1\r\nHost: ")
	used.send(aRequest)
	used.answer()
	for range 2 {
		caller := dial(t, d)
		caller.send(aRequest)
		if got := caller.answer(); got != "hello" {
			t.Errorf("got %q", got)
		}
	}
	silent.wantClosed()
	slow.wantClosed()
	used.send(aRequest)
	if got := used.answer(); got != "hello" {
		t.Errorf("a connection that is kept alive, and was used later, got %q", got)
	}
	if n := counted.shed.Load(); n != 2 {
		t.Errorf("%d connections were shed, want 2", n)
	}
}

// A connection with a request is never shed: a new one waits until an answer is out.
func TestAConnectionWithARequestIsNotShed(t *testing.T) {
	entered, goOn := make(chan struct{}, 2), make(chan struct{})
	d, counted := limitedListener(t, 1, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-goOn
		greet(w, r)
	})
	first := dial(t, d)
	first.send(aRequest)
	<-entered
	second := dial(t, d)
	second.send(aRequest)
	close(goOn)
	for _, p := range []*peer{first, second} {
		if got := p.answer(); got != "hello" {
			t.Errorf("got %q", got)
		}
	}
	first.wantClosed()
	if n := counted.shed.Load(); n != 1 {
		t.Errorf("%d connections were shed, want 1", n)
	}
}

// Many more callers than places, at once: each is answered in its turn.
func TestManyMoreConnectionsThanPlaces(t *testing.T) {
	d, counted := limitedListener(t, 4, greet)
	var all sync.WaitGroup
	for range 64 {
		p := dial(t, d)
		all.Go(func() {
			if _, err := io.WriteString(p, aRequest); err != nil {
				return // it was shed before it had sent anything
			}
			if response, err := http.ReadResponse(p.r, nil); err == nil {
				response.Body.Close()
			}
		})
	}
	all.Wait()
	if n := counted.open.Load(); n < 0 || n > 4 {
		t.Errorf("%d connections are counted as open, of 4", n)
	}
}

// A request of a connection that is about to be closed is not begun: no client would get its answer.
func TestNoRequestBeginsOnAConnectionThatIsShed(t *testing.T) {
	var l *connections
	c, shed := &connection{TCPConn: &net.TCPConn{}}, 0
	l = limitConnections(nil, 1, func(e connectionEvent) {
		if !e.Shed {
			return
		}
		if shed++; l.markBusy(c) {
			t.Error("a request begins")
		}
		l.markIdle(c)
	})
	c.owner = l
	if !l.add(c) || !l.add(&connection{TCPConn: &net.TCPConn{}, owner: l}) || shed != 1 {
		t.Errorf("at the limit, %d connections are shed", shed)
	}
	if l.markBusy(c) || l.idle.Len() != 1 || l.open != 1 {
		t.Errorf("%d connections are open, and %d of them idle, want 1", l.open, l.idle.Len())
	}
}

// stubListener fails to accept, and then is closed.
type stubListener struct {
	net.Listener
	errs []error
}

func (l *stubListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestAcceptErrorsAreTold(t *testing.T) {
	full := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	var counted connectionCounts
	l := limitConnections(&stubListener{errs: []error{full, net.ErrClosed}}, 1, counted.count)
	for _, want := range []error{full, net.ErrClosed} {
		if _, err := l.Accept(); !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
	}
	if n := counted.failed.Load(); n != 1 {
		t.Errorf("%d errors were told, want 1", n)
	}
}

// A listener that is closed while a connection waits for a place accepts no more.
func TestClosingWhileAConnectionWaits(t *testing.T) {
	bound, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limitConnections(bound, 0, func(connectionEvent) {})
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", bound.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	_ = l.Close() // a second time
}

func TestFilesThatMayBeOpenAreDivided(t *testing.T) {
	load := config.Default().Load
	for _, tc := range []struct {
		openFiles uint64
		want      int
	}{{leastDescriptors, leastAPIConnections}, {300, 86}, {1024, 448}, {1 << 20, 4 * (1024 + 512)}, {1<<64 - 1, 4 * (1024 + 512)}} {
		got, err := apiConnections(tc.openFiles, load, false)
		if err != nil || got != tc.want || uint64(2*got+reservedDescriptors) > tc.openFiles {
			t.Errorf("of %d files: %d connections, %v; want %d", tc.openFiles, got, err, tc.want)
		}
	}
	for _, administered := range []bool{false, true} {
		if _, err := apiConnections(leastDescriptors-1, load, administered); err == nil {
			t.Error("a limit that is too low is accepted")
		}
	}
	for _, openFiles := range []uint64{300, 1024} {
		plain, _ := apiConnections(openFiles, load, false)
		if got, err := apiConnections(openFiles, load, true); err != nil || got != plain-adminConnections/2 {
			t.Errorf("with administration, of %d files: %d connections, %v", openFiles, got, err)
		}
	}
	if got, err := apiConnections(leastDescriptors+adminConnections, load, true); err != nil || got != leastAPIConnections {
		t.Errorf("with administration: %d connections, %v", got, err)
	}
	if open, err := openFileLimit(); err != nil || open == 0 {
		t.Error(fmt.Sprint(open), err)
	}
}

// The manual has the bounds that the service keeps to.
func TestManualHasBoundsOfConnections(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(manual)), " ")
	load := config.Default().Load
	plain, errPlain := apiConnections(1024, load, false)
	administered, errAdministered := apiConnections(1024, load, true)
	if err := errors.Join(errPlain, errAdministered); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("With fewer than %d files, or %d with `admin.listen`, the service does not start", leastDescriptors,
			leastDescriptors+adminConnections),
		fmt.Sprintf("Kept are %d for the store and the log, %d for the operators' listener, and, with `admin.listen`, %d for administration",
			storeDescriptors+otherDescriptors, opsConnections, adminConnections),
		fmt.Sprintf("of 1024 files, the API's listener has %d, or %d", plain, administered),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/operations.md does not say %q", want)
		}
	}
}
