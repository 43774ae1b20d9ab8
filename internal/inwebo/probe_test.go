package inwebo_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

const refusal = "<ActionSetup><err>NOK:SN</err></ActionSetup>"

// The probe takes any answer of the service for one, and tells how far it came.
func TestProbeOverTLS(t *testing.T) {
	ours := newAuthority(t)
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		q := r.URL.Query()
		if q.Get("action") != "ActionSetup" || q.Get("mode") != "activate" || q.Get("code") != "-" || q.Get("id") != "" {
			t.Errorf("the probe asks %q", r.URL.RawQuery)
		}
		w.Header().Set("Date", "Mon, 23 Nov 2026 12:00:00 GMT")
		_, _ = io.WriteString(w, refusal)
	}))
	named := loopback()
	named.names = []string{"localhost"}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ours.issue(t, named)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	config := target(t, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	config.RootCAs = ours.pool()
	c := newClient(t, config)
	p := c.Probe(t.Context())
	if p.Err != nil || asked != 1 || len(p.Addresses) == 0 || !strings.HasSuffix(server.URL, p.Peer[strings.LastIndex(p.Peer, ":"):]) {
		t.Errorf("asked %d times: %+v", asked, p)
	}
	if p.TLS == nil || len(p.TLS.PeerCertificates) != 1 || p.Took <= 0 || time.Since(p.Clock) > time.Minute {
		t.Errorf("the way there: %+v", p)
	}
	if !p.Date.Equal(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("the date is %v", p.Date)
	}
	if len(c.observed) != 0 {
		t.Errorf("it was measured as an exchange: %v", c.observed)
	}
}

// Where the way ends, the probe says so, as any exchange does, and shows nothing of what it was answered.
func TestProbeTellsWhereTheWayEnds(t *testing.T) {
	page := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		why     error // nil: it is the service
	}{
		"OK":            {page(200, activateSetup.answer), nil},
		"refused":       {page(200, refusal), nil},
		"wrong path":    {page(404, canary), inwebo.ErrNotService},
		"a web page":    {page(200, "<!doctype html>"+canary), inwebo.ErrNotService},
		"a broken page": {page(200, "<ActionSetup>"+canary), inwebo.ErrNotUnderstood},
		"a foreign one": {page(200, "<"+canary+"/>"), inwebo.ErrNotUnderstood},
		"ill":           {page(503, canary), inwebo.ErrNetwork},
		"no TLS":        {nil, inwebo.ErrNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			t.Cleanup(server.Close)
			base := server.URL
			if tc.handler == nil {
				base = strings.Replace(base, "http:", "https:", 1)
			}
			p := newClient(t, target(t, base)).Probe(t.Context())
			if tc.why == nil {
				if p.Err != nil {
					t.Error(p.Err)
				}
				return
			}
			assertSilent(t, p.Err)
			if p.Peer == "" || p.TLS != nil || !isFault(p.Err, inwebo.ErrNoAnswer, tc.why) && !isFault(p.Err, inwebo.ErrNeverSent, tc.why) {
				t.Errorf("%+v; want %v", p, tc.why)
			}
		})
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	if p := newClient(t, target(t, closed.URL)).Probe(t.Context()); p.Peer != "" || !isFault(p.Err, inwebo.ErrNeverSent, inwebo.ErrNetwork) {
		t.Errorf("a closed port: %+v", p)
	}
}
