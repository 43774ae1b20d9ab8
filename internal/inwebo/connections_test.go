package inwebo_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// pair is what one OTP asks for.
func pair(c *inwebo.Client, tag string) error {
	if err := otpSetup.do(context.Background(), c, tag); err != nil {
		return err
	}
	return otpFinalize.do(context.Background(), c, tag)
}

// counting answers setups and finalizes of OTPs, and counts the connections.
func counting(t testing.TB) (base string, accepted *atomic.Int32) {
	t.Helper()
	accepted = new(atomic.Int32)
	return serveRaw(t, func(_ int, conn *rawConn) {
		accepted.Add(1)
		for request := conn.request(); request != nil; request = conn.request() {
			answer := otpFinalize.answer
			if request.URL.Query().Get("action") == "ActionSetup" {
				answer = otpSetup.answer
			}
			conn.answer(answer)
		}
	}), accepted
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	base, accepted := counting(t)
	c := newClient(t, target(t, base))
	for range 50 {
		if err := pair(c.Client, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections for 100 requests, one after the other", n)
	}
}

func TestConnectionsAreUsedAgainByManyCallers(t *testing.T) {
	const callers, each = 64, 20
	base, accepted := counting(t)
	c := newClient(t, target(t, base))
	for tag, err := range hammer(callers, each, func(tag string) error { return pair(c.Client, tag) }) {
		if err != nil {
			t.Errorf("%s: %v", tag, err)
		}
	}
	// A caller may dial and then get a connection that came free meanwhile, so a few more than one each.
	if n := accepted.Load(); n > 4*callers {
		t.Errorf("%d connections for %d requests of %d callers", n, 2*callers*each, callers)
	}
	if n := len(c.observed); n != 2*callers*each {
		t.Errorf("observed %d exchanges, want %d", n, 2*callers*each)
	}
}

func TestCloseGivesUpIdleConnections(t *testing.T) {
	base, accepted := counting(t)
	c := newClient(t, target(t, base))
	for range 2 {
		if err := otpSetup.make(t, c); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if n := accepted.Load(); n != 2 {
		t.Errorf("%d connections; the one that was given up was used again", n)
	}
}

// The proxy that is configured gets the requests; the one of the environment (see TestMain) is never asked.
func TestProxy(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Host+" "+r.Header.Get("Proxy-Authorization"))
		_, _ = io.WriteString(w, otpSetup.answer)
	}))
	t.Cleanup(proxy.Close)
	config := target(t, "http://c4n4ry..invalid")
	throughProxy(t, proxy.URL)(&config)
	if err := otpSetup.make(t, newClient(t, config)); err != nil {
		t.Error(err)
	}
	if got := strings.Join(seen, ","); got != "GET c4n4ry..invalid Basic YzRuNHJ5OmM0bjRyeQ==" {
		t.Errorf("the proxy saw %q", got)
	}

	config.Proxy = nil
	err := otpSetup.make(t, newClient(t, config))
	assertFault(t, err, otpSetup.exchange, inwebo.ErrNeverSent, inwebo.ErrNetwork, "the host name could not be resolved")
}

// The configured path stands behind whatever path the base has.
func TestPaths(t *testing.T) {
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.RequestURI[:strings.IndexByte(r.RequestURI, '?')]
		_, _ = io.WriteString(w, otpSetup.answer)
	}))
	t.Cleanup(server.Close)
	for base, want := range map[string]string{"": "/iwcxf/MAC", "/": "/iwcxf/MAC", "/pre/fix": "/pre/fix/iwcxf/MAC", "/pre/fix/": "/pre/fix/iwcxf/MAC"} {
		config := target(t, server.URL+base)
		config.Path = "/iwcxf/MAC"
		if err := otpSetup.make(t, newClient(t, config)); err != nil || path != want {
			t.Errorf("base %q: path %q, %v; want %q", base, path, err, want)
		}
	}
}
