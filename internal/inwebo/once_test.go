package inwebo_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// fickle is a server that keeps the connection of a first request alive, and then lets the second one down.
type fickle struct {
	base             string
	accepted, second atomic.Int32 // connections, and second requests that began to arrive
}

// letDown is how; it tells when a second request has begun.
type letDown func(conn *rawConn, began func())

var idleLetDowns = map[string]letDown{
	"closed while idle": func(*rawConn, func()) {},
	"reset while idle":  func(c *rawConn, _ func()) { c.reset() },
	"ended while idle":  func(c *rawConn, began func()) { c.endAnd(began) },
	"408 while idle": func(c *rawConn, began func()) {
		c.say("HTTP/1.1 408 c4n4ry\r\nConnection: close\r\n\r\n")
		c.endAnd(began)
	},
}

var lateLetDowns = map[string]letDown{
	"closed as it begins": func(c *rawConn, began func()) { c.peek(1, began) },
	"reset as it begins":  func(c *rawConn, began func()) { c.peek(1, began); c.reset() },
	"closed half read":    func(c *rawConn, began func()) { c.peek(40, began) },
	"closed when read":    func(c *rawConn, began func()) { c.read(began) },
	"reset when read":     func(c *rawConn, began func()) { c.read(began); c.reset() },
	"half a status line":  func(c *rawConn, began func()) { c.read(began); c.say("HTTP/1.1 2") },
	"half an answer":      func(c *rawConn, began func()) { c.read(began); c.say("%s", withLength(otpFinalize.answer)[:80]) },
	"half, then reset": func(c *rawConn, began func()) {
		c.read(began)
		c.say("%s", withLength(otpFinalize.answer)[:80])
		c.reset()
	},
	"408 when read": func(c *rawConn, began func()) {
		c.read(began)
		c.say("HTTP/1.1 408 c4n4ry\r\nConnection: close\r\n\r\n")
	},
	"503 when read": func(c *rawConn, began func()) {
		c.read(began)
		c.say("HTTP/1.1 503 c4n4ry\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
	},
}

func (c *rawConn) peek(n int, began func()) {
	if seen, _ := c.reader.Peek(n); len(seen) > 0 {
		began()
	}
}

func (c *rawConn) read(began func()) {
	if c.request() != nil {
		began()
	}
}

func (c *rawConn) endAnd(began func()) {
	c.closeWrite()
	c.peek(1, began)
}

func newFickle(t testing.TB, how letDown, answer string) *fickle {
	t.Helper()
	f := new(fickle)
	began := func() { f.second.Add(1) }
	f.base = serveRaw(t, func(_ int, conn *rawConn) {
		f.accepted.Add(1)
		request := conn.request()
		switch {
		case request == nil:
		case strings.Contains(request.URL.RawQuery, "first"):
			conn.answer(otpSetup.answer)
			how(conn, began)
		default: // the second request, on a connection of its own
			began()
			conn.answer(answer)
			conn.wait()
		}
	})
	return f
}

// A request arrives once, whatever happens to the connection.
func TestNoRequestGoesOutTwice(t *testing.T) {
	for name, how := range lateLetDowns {
		t.Run(name, func(t *testing.T) {
			for _, call := range calls {
				f, err := letDownOnce(t, how, call)
				if began := f.second.Load(); began != 1 {
					t.Errorf("%s: arrived %d times: %v", call.exchange, began, err)
				}
				if accepted := f.accepted.Load(); accepted != 1 {
					t.Errorf("%s: %d connections; the first was to be used again", call.exchange, accepted)
				}
				if !errors.Is(err, inwebo.ErrNoAnswer) {
					t.Errorf("%s: %v; want no answer", call.exchange, err)
				}
			}
		})
	}
}

// When the connection dies before, whether the client sees it in time is chance; what it says must be true all the same.
func TestNoRequestGoesOutTwiceAfterIdling(t *testing.T) {
	for name, how := range idleLetDowns {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				for _, call := range calls {
					f, err := letDownOnce(t, how, call)
					began := f.second.Load()
					if began > 1 || err == nil && began != 1 {
						t.Errorf("%s: arrived %d times: %v", call.exchange, began, err)
					}
					if err != nil && !errors.Is(err, inwebo.ErrNoAnswer) {
						t.Errorf("%s: %v; want no answer", call.exchange, err)
					}
				}
			}
		})
	}
}

func letDownOnce(t *testing.T, how letDown, call call) (*fickle, error) {
	t.Helper()
	f := newFickle(t, how, call.answer)
	c := newClient(t, target(t, f.base))
	if err := otpSetup.do(t.Context(), c.Client, "first"); err != nil {
		t.Fatal(err)
	}
	err := call.do(t.Context(), c.Client, "second")
	assertSilent(t, err)
	return f, err
}

// Many callers, each of whose requests is let down somehow or answered: nothing arrives twice, and no error lies.
func TestManyCallersAndAFickleServer(t *testing.T) {
	const callers, each = 32, 40
	var (
		mu      sync.Mutex
		arrived = make(map[string]int)
		source  = rand.New(rand.NewPCG(1, 2))
	)
	base := serveRaw(t, func(_ int, conn *rawConn) {
		for request := conn.request(); request != nil; request = conn.request() {
			mu.Lock()
			arrived[request.URL.Query().Get("id")]++
			dice := source.IntN(8)
			mu.Unlock()
			switch dice {
			case 0:
				return
			case 1:
				conn.reset()
				return
			case 2:
				conn.say("%s", withLength(otpFinalize.answer)[:80])
				return
			case 3:
				conn.answer(otpFinalize.answer)
				return
			default:
				conn.answer(otpFinalize.answer)
			}
		}
	})
	c := inwebo.New(target(t, base))
	t.Cleanup(c.Close)
	errs := hammer(callers, each, func(tag string) error { return otpFinalize.do(context.Background(), c, tag) })

	mu.Lock()
	defer mu.Unlock()
	for tag, err := range errs {
		times := arrived[canary+tag]
		if times > 1 || err == nil && times != 1 || errors.Is(err, inwebo.ErrNeverSent) && times != 0 {
			t.Errorf("%s arrived %d times: %v", tag, times, err)
		}
	}
}

// hammer makes the calls, each with a tag of its own, and gives their errors.
func hammer(callers, each int, do func(tag string) error) map[string]error {
	var (
		done sync.WaitGroup
		mu   sync.Mutex
		errs = make(map[string]error)
	)
	for caller := range callers {
		done.Go(func() {
			for n := range each {
				tag := "-" + strconv.Itoa(caller) + "-" + strconv.Itoa(n)
				err := do(tag)
				mu.Lock()
				errs[tag] = err
				mu.Unlock()
			}
		})
	}
	done.Wait()
	return errs
}
