package inwebo_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// relay connects to address and carries bytes both ways until one side ends.
func relay(t *testing.T, conn *rawConn, address string) {
	onward, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = onward.Close() }()
	go func() {
		_, _ = io.Copy(onward, conn.reader)
		_ = onward.Close()
	}()
	_, _ = io.Copy(conn, onward)
}

// tunneling is a proxy that makes tunnels for those who have the password.
func tunneling(t *testing.T) func(int, *rawConn) {
	return func(_ int, conn *rawConn) {
		request := conn.request()
		if request == nil || request.Method != http.MethodConnect {
			t.Errorf("the proxy got %v", request)
			return
		}
		if got := request.Header.Get("Proxy-Authorization"); got != "Basic YzRuNHJ5OmM0bjRyeQ==" {
			t.Errorf("the credentials are %q", got)
		}
		conn.say("HTTP/1.1 200 c4n4ry\r\nX-A: b\r\n\r\n")
		relay(t, conn, request.Host)
	}
}

// counted counts the connections that a proxy serves.
func counted(tunnels *atomic.Int32, serve func(int, *rawConn)) func(int, *rawConn) {
	return func(n int, conn *rawConn) {
		tunnels.Add(1)
		serve(n, conn)
	}
}

// Through a proxy TLS goes from end to end, and the connection is used again.
func TestProxiesOfTLS(t *testing.T) {
	ours := newAuthority(t)
	certificate := ours.issue(t, loopback())
	for name, proxy := range map[string]func(tunnels *atomic.Int32) string{
		"HTTP":  func(tunnels *atomic.Int32) string { return serveRaw(t, counted(tunnels, tunneling(t))) },
		"HTTPS": func(tunnels *atomic.Int32) string { return serveSecure(t, certificate, counted(tunnels, tunneling(t))) },
	} {
		t.Run(name, func(t *testing.T) {
			var tunnels atomic.Int32
			requests := 0
			base := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, func(r *http.Request) {
				if requests++; r.Header.Get("Proxy-Authorization") != "" {
					t.Error("inWebo gets the credentials of the proxy")
				}
			})
			config := target(t, base)
			config.RootCAs = ours.pool()
			throughProxy(t, proxy(&tunnels))(&config)
			c := newClient(t, config)
			for range 3 {
				if err := otpSetup.make(t, c); err != nil {
					t.Error(err)
				}
			}
			if p := c.Probe(t.Context()); p.Peer == "" || p.TLS == nil || p.Err != nil {
				t.Errorf("the probe: %+v", p)
			}
			if n := int(tunnels.Load()); requests != 4 || n == 0 || n == requests {
				t.Errorf("%d requests came through %d tunnels", requests, n)
			}
		})
	}
}

// Without TLS to inWebo, a proxy forwards the requests.
func TestProxiesWithoutTLS(t *testing.T) {
	ours := newAuthority(t)
	config := target(t, "http://c4n4ry..invalid:81/pre")
	config.RootCAs = ours.pool()
	throughProxy(t, serveSecure(t, ours.issue(t, loopback()), func(_ int, conn *rawConn) {
		line, _ := conn.reader.ReadString('\n')
		request, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(line), conn.reader)))
		if err != nil || !strings.HasPrefix(line, "GET http://c4n4ry..invalid:81/pre/iwws/c4n4ry?action=ActionSetup&") || request.Host != "c4n4ry..invalid:81" ||
			request.Header.Get("Proxy-Authorization") != "Basic YzRuNHJ5OmM0bjRyeQ==" {
			t.Errorf("the proxy got %q, %v", line, err)
		}
		conn.answer(otpSetup.answer)
	}))(&config)
	if err := otpSetup.make(t, newClient(t, config)); err != nil {
		t.Error(err)
	}
}

// What a proxy does instead of making a tunnel is said, and nothing was sent.
func TestProxiesThatMakeNoTunnel(t *testing.T) {
	answers := func(text string) string {
		return serveRaw(t, func(_ int, conn *rawConn) {
			conn.request()
			conn.say("%s", text)
			conn.hangUp()
		})
	}
	soonLate := func(c *inwebo.Config) { c.DialTimeout = soon }
	for name, test := range map[string]struct {
		proxy  string
		change func(*inwebo.Config)
		why    error
		detail string
	}{
		"no password": {
			answers("HTTP/1.1 407 c4n4ry\r\nProxy-Authenticate: Basic realm=c4n4ry\r\nContent-Length: 6\r\n\r\nc4n4ry"), nil, inwebo.ErrNetwork,
			"the proxy asks for a user name and a password: set them in inwebo.proxy_url (HTTP 407)",
		},
		"no way on": {
			answers("HTTP/1.1 502 c4n4ry\r\n\r\nc4n4ry"), nil, inwebo.ErrNetwork, "the proxy cannot reach inWebo (HTTP 502)",
		},
		"forbidden": {
			answers("HTTP/1.1 403 c4n4ry\r\n\r\nc4n4ry"), nil, inwebo.ErrNetwork,
			"the proxy refuses to connect to inWebo: check inwebo.url and the rules of the proxy (HTTP 403)",
		},
		"another success": {
			answers("HTTP/1.1 202 c4n4ry\r\n\r\n"), nil, inwebo.ErrNetwork,
			"the proxy refuses to connect to inWebo: check inwebo.url and the rules of the proxy (HTTP 202)",
		},
		"more than a tunnel":   {answers("HTTP/1.1 200 c4n4ry\r\n\r\nc4n4ry"), nil, inwebo.ErrNetwork, noHTTP},
		"nothing":              {answers(""), nil, inwebo.ErrNetwork, "the connection was cut"},
		"no HTTP":              {answers("SSH-2.0-c4n4ry\r\n"), nil, inwebo.ErrNetwork, noHTTP},
		"a tunnel that ends":   {answers("HTTP/1.1 200 c4n4ry\r\n\r\n"), nil, inwebo.ErrNetwork, "the connection was cut"},
		"silence":              {serveRaw(t, func(_ int, conn *rawConn) { conn.wait() }), soonLate, inwebo.ErrLate, ""},
		"1xx without end":      {serveRaw(t, func(_ int, conn *rawConn) { conn.request(); repeats("", "HTTP/1.1 103 c4n4ry\r\n\r\n")(conn) }), nil, inwebo.ErrNetwork, noHTTP},
		"a header without end": {serveRaw(t, func(_ int, conn *rawConn) { conn.request(); repeats("HTTP/1.1 200 OK\r\n", "A: c4n4ry\r\n")(conn) }), nil, inwebo.ErrNetwork, noHTTP},
		"no TLS at the proxy":  {strings.Replace(answers("c4n4ry"), "http:", "https:", 1), nil, inwebo.ErrNetwork, "it does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := target(t, "https://127.0.0.1:9")
			throughProxy(t, test.proxy)(&config)
			if test.change != nil {
				test.change(&config)
			}
			for _, call := range calls {
				assertFault(t, call.make(t, newClient(t, config)), call.exchange, inwebo.ErrNeverSent, test.why, test.detail)
			}
		})
	}
}

// A proxy without credentials in its URL gets none.
func TestProxyWithoutCredentials(t *testing.T) {
	proxy := must(url.Parse(serveRaw(t, func(_ int, conn *rawConn) {
		if request := conn.request(); request == nil || len(request.Header["Proxy-Authorization"]) > 0 {
			t.Errorf("the proxy got %v", request)
		}
		conn.answer(otpSetup.answer)
	})))
	config := target(t, "http://127.0.0.1:9")
	config.Proxy = proxy
	if err := otpSetup.make(t, newClient(t, config)); err != nil {
		t.Error(err)
	}
}
