package inwebo_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// unreachable is an address on which nothing listens.
func unreachable(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return "http://" + listener.Addr().String()
}

// full is an address whose listener takes no more connections: one SYN more is not answered.
func full(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	for refused := 0; refused < 2; { // twice in a row, because a busy machine may only seem to be full
		conn, err := (&net.Dialer{Timeout: 100 * time.Millisecond}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			refused++
			continue
		}
		refused = 0
		t.Cleanup(func() { _ = conn.Close() })
	}
	return "http://" + listener.Addr().String()
}

const noHTTP = "the connection failed or carried no HTTP"

// soon is the time-out for what never comes.
const soon = 30 * time.Millisecond

// Before a connection is there, nothing was sent.
func TestNeverSent(t *testing.T) {
	busy := full(t)
	silent := serveRaw(t, func(_ int, conn *rawConn) { conn.wait() })
	closing := serveRaw(t, func(_ int, conn *rawConn) { conn.hangUp() })
	forbidding := serveRaw(t, func(_ int, conn *rawConn) {
		conn.request()
		conn.say("HTTP/1.1 403 c4n4ry\r\nContent-Length: 6\r\n\r\nc4n4ry")
	})
	asTLS := func(url string) string { return strings.Replace(url, "http:", "https:", 1) }
	tests := map[string]struct {
		base   string
		change func(*inwebo.Config)
		why    error
		detail string
	}{
		"nothing listens":    {unreachable(t), nil, inwebo.ErrNetwork, "connection refused"},
		"no such host":       {"http://c4n4ry..invalid", nil, inwebo.ErrNetwork, "the host name could not be resolved"},
		"no such host, TLS":  {"https://c4n4ry..invalid", nil, inwebo.ErrNetwork, "the host name could not be resolved"},
		"no way in":          {busy, func(c *inwebo.Config) { c.DialTimeout = soon }, inwebo.ErrLate, ""},
		"no way in, no time": {busy, func(c *inwebo.Config) { c.ExchangeTimeout = soon }, inwebo.ErrLate, ""},
		"a silent handshake": {asTLS(silent), func(c *inwebo.Config) { c.DialTimeout = soon }, inwebo.ErrLate, ""},
		"no time to shake":   {asTLS(silent), func(c *inwebo.Config) { c.ExchangeTimeout = soon }, inwebo.ErrLate, ""},
		"a closed handshake": {asTLS(closing), nil, inwebo.ErrNetwork, "the connection was cut"},
		"no time at all":     {silent, func(c *inwebo.Config) { c.ExchangeTimeout = 0 }, inwebo.ErrLate, ""},
		"no proxy there":     {silent, throughProxy(t, unreachable(t)), inwebo.ErrNetwork, "connection refused"},
		"a proxy that forbids": {
			asTLS(silent), throughProxy(t, forbidding), inwebo.ErrNetwork,
			"the proxy refuses to connect to inWebo: check inwebo.url and the rules of the proxy (HTTP 403)",
		},
		"a scheme of its own": {"c4n4ry://127.0.0.1", nil, inwebo.ErrNetwork, noHTTP},
		"a header of its own": {silent, func(c *inwebo.Config) { c.UserAgent = "c4n4ry\r\nHost: x" }, inwebo.ErrNetwork, noHTTP},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := target(t, test.base)
			if test.change != nil {
				test.change(&config)
			}
			for _, call := range calls {
				assertFault(t, call.make(t, newClient(t, config)), call.exchange, inwebo.ErrNeverSent, test.why, test.detail)
			}
		})
	}
}

func throughProxy(t testing.TB, proxy string) func(*inwebo.Config) {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(canary, canary)
	return func(c *inwebo.Config) { c.Proxy = u }
}

func TestGivenUpBeforeItWasSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, call := range calls {
		err := call.do(ctx, newClient(t, target(t, unreachable(t))).Client, "")
		assertSilent(t, err)
		assertFault(t, err, call.exchange, inwebo.ErrNeverSent, inwebo.ErrNetwork, "the exchange was given up")
	}
}

// From the connection on, the request may have been acted upon.
func TestNoAnswer(t *testing.T) {
	tests := map[string]struct {
		serve  func(*rawConn)
		why    error // nil: the body was read, and is no document of the service
		detail string
	}{
		"closed when the request is read": {func(*rawConn) {}, inwebo.ErrNetwork, "the connection was cut"},
		"reset when the request is read":  {(*rawConn).reset, inwebo.ErrNetwork, "connection reset by peer"},
		"half a status line":              {says("HTTP/1.1 20"), inwebo.ErrNetwork, noHTTP},
		"half a body, then reset": {func(c *rawConn) {
			c.say("%s", withLength(canary)[:66])
			c.reset()
		}, inwebo.ErrNetwork, "connection reset by peer"},
		"the banner of another service": {says("SSH-2.0-c4n4ry\r\n"), inwebo.ErrNetwork, noHTTP},
		"an alert of TLS":               {says("\x15\x03\x01\x00\x02\x02\x46\r\n"), inwebo.ErrNetwork, noHTTP},
		"HTTP/3":                        {says("HTTP/3 200 OK\r\n\r\nc4n4ry"), inwebo.ErrNetwork, noHTTP},
		"a status of letters":           {says("HTTP/1.1 c4n4ry\r\n\r\n"), inwebo.ErrNetwork, noHTTP},
		"a broken header":               {says("HTTP/1.1 200 OK\r\nc4n4ry\r\n\r\n"), inwebo.ErrNetwork, noHTTP},
		"a broken length":               {says("HTTP/1.1 200 OK\r\nContent-Length: c4n4ry\r\n\r\n"), inwebo.ErrNetwork, noHTTP},
		"two lengths":                   {says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nc4n4ry"), inwebo.ErrNetwork, noHTTP},
		"a broken chunk":                {says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc4n4ry\r\n"), inwebo.ErrNetwork, noHTTP},
		"an unknown encoding":           {says("HTTP/1.1 200 OK\r\nTransfer-Encoding: c4n4ry\r\n\r\n"), inwebo.ErrNetwork, noHTTP},
		"headers of 128 KiB": {
			says(strings.Replace(withClose(otpFinalize.answer), "\r\n", "\r\n"+strings.Repeat("X-A: c4n4ry---\r\n", 8<<10), 1)),
			inwebo.ErrNetwork, noHTTP,
		},
		"headers without end": {repeats("HTTP/1.1 200 OK\r\n", "X-A: c4n4ry\r\n"), inwebo.ErrNetwork, noHTTP},
		"1xx without end":     {repeats("", "HTTP/1.1 103 c4n4ry\r\nLink: c4n4ry\r\n\r\n"), inwebo.ErrNetwork, noHTTP},
		"a body without end":  {repeats("HTTP/1.1 200 OK\r\n\r\n", "c4n4ry"), nil, "it is longer than 64 KiB"},
		"compressed":          {says("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"), nil, early},
		"another protocol, held open": {func(c *rawConn) {
			c.say("HTTP/1.1 101 c4n4ry\r\nConnection: Upgrade\r\nUpgrade: c4n4ry\r\n\r\n")
			c.wait()
		}, inwebo.ErrNotService, "HTTP 101"},
		"HTTP 500, held open": {func(c *rawConn) {
			c.say("HTTP/1.1 500 c4n4ry\r\nContent-Length: 99\r\n\r\n<c4n4ry>")
			c.wait()
		}, inwebo.ErrServer, "HTTP 500"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				test.serve(conn)
			})
			for _, call := range calls {
				err := call.make(t, newClient(t, target(t, base)))
				why := test.why
				if why == nil {
					why = call.notRead()
				}
				assertFault(t, err, call.exchange, inwebo.ErrNoAnswer, why, test.detail)
			}
		})
	}
}

// says one thing and hangs up.
func says(text string) func(*rawConn) { return func(c *rawConn) { c.say("%s", text) } }

// repeats itself until the other side hangs up.
func repeats(once, again string) func(*rawConn) {
	return func(c *rawConn) {
		c.say("%s", once)
		for {
			if _, err := c.Write([]byte(strings.Repeat(again, 1000))); err != nil {
				return
			}
		}
	}
}

// A connection that is closed before anything is read was there all the same. How the close shows is the kernel's choice.
func TestClosedAtOnce(t *testing.T) {
	base := serveRaw(t, func(int, *rawConn) {})
	for _, call := range calls {
		err := call.make(t, newClient(t, target(t, base)))
		if !isFault(err, inwebo.ErrNoAnswer, inwebo.ErrNetwork) {
			t.Errorf("%v; want no answer because of the network", err)
		}
	}
}

func TestStatus(t *testing.T) {
	tests := map[string]error{
		"500": inwebo.ErrServer, "501": inwebo.ErrServer, "505": inwebo.ErrServer, "599": inwebo.ErrServer, "999": inwebo.ErrServer,
		"502": inwebo.ErrNetwork, "503": inwebo.ErrNetwork, "504": inwebo.ErrNetwork,
		"204": inwebo.ErrNotService, "300": inwebo.ErrNotService, "304": inwebo.ErrNotService,
		"400": inwebo.ErrNotService, "401": inwebo.ErrNotService, "404": inwebo.ErrNotService, "407": inwebo.ErrNotService,
	}
	for status, why := range tests {
		t.Run(status, func(t *testing.T) {
			for _, call := range calls {
				base := serveRaw(t, func(_ int, conn *rawConn) {
					conn.request()
					conn.say("%s", strings.Replace(withClose("<html>c4n4ry</html>"), "200 OK", status+" c4n4ry", 1))
				})
				err := call.make(t, newClient(t, target(t, base)))
				assertFault(t, err, call.exchange, inwebo.ErrNoAnswer, why, "HTTP "+status)
			}
		})
	}
}

// A whole document of the service is the answer under every status that can have a body: what it says has happened. A
// finalize that cannot be read is kept, too. Of a document of another exchange, the status is what counts.
func TestADocumentCountsMoreThanItsStatus(t *testing.T) {
	broken := "<ActionFinalize><err>OK</err><dK1>c4n4ry</ActionFinalize>"
	for _, status := range []string{"300", "302", "400", "404", "500", "503", "599"} {
		t.Run(status, func(t *testing.T) {
			asked := func(call call, body string) error {
				base := serveRaw(t, func(_ int, conn *rawConn) {
					conn.request()
					conn.say("%s", strings.Replace(withClose(body), "200 OK", status+" c4n4ry", 1))
				})
				return call.make(t, newClient(t, target(t, base)))
			}
			for _, call := range calls {
				if err := asked(call, call.answer); err != nil {
					t.Errorf("%s: %v", call.exchange, err)
				}
			}
			refused := strings.Replace(otpFinalize.answer, "OK", "NOK:NODEVICE", 1)
			if refusal, ok := errors.AsType[*inwebo.Refusal](asked(otpFinalize, refused)); !ok || refusal.Reason != inwebo.ReasonNoDevice {
				t.Errorf("a refusal: %+v", refusal)
			}
			assertUnreadable(t, asked(otpFinalize, broken), otpFinalize.exchange, broken, true, "its elements do not match")
			for _, call := range []call{otpFinalize, otpSetup} {
				other := map[bool]string{true: otpFinalize.answer, false: otpSetup.answer}[call.isSetup()]
				if err := asked(call, other); !strings.HasSuffix(err.Error(), "HTTP "+status) {
					t.Errorf("another document in answer to %s: %v", call.exchange, err)
				}
			}
		})
	}
}

// The body of an error is waited for no longer than a moment, and read no further than an answer may be long.
func TestTheBodyOfAnErrorIsBounded(t *testing.T) {
	for name, serve := range map[string]func(*rawConn){
		"silent":      func(c *rawConn) { c.say("HTTP/1.1 500 c4n4ry\r\nContent-Length: 99\r\n\r\nc4n4ry"); c.wait() },
		"without end": repeats("HTTP/1.1 500 c4n4ry\r\n\r\n", "c4n4ry"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				serve(conn)
			})
			err := otpFinalize.make(t, newClient(t, target(t, base)))
			assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrServer, "HTTP 500")
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	aim := serveRaw(t, func(_ int, conn *rawConn) {
		t.Error("a redirect was followed")
		conn.request()
		conn.answer(otpFinalize.answer)
	})
	for _, location := range []string{aim, "/c4n4ry", "", "http://[c4n4ry", "c4n4ry://"} {
		for _, status := range []string{"301", "302", "303", "307", "308"} {
			base := serveRaw(t, func(n int, conn *rawConn) {
				if request := conn.request(); n > 0 || request == nil || request.Method != http.MethodGet {
					t.Error("a redirect was followed")
				}
				conn.say("HTTP/1.1 %s c4n4ry\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, location)
			})
			err := otpFinalize.make(t, newClient(t, target(t, base)))
			assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrNotService, "HTTP "+status)
		}
	}
}
