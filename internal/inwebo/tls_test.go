package inwebo_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// serveTLS answers the OTP setup, and offers HTTP/2 before HTTP/1.1.
func serveTLS(t testing.TB, config *tls.Config, see func(*http.Request)) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		see(r)
		_, _ = io.WriteString(w, otpSetup.answer)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func unseen(t testing.TB) func(*http.Request) {
	return func(*http.Request) { t.Error("a request came through") }
}

func TestTLSRefused(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	with := func(by authority, change func(*leaf)) *tls.Config {
		says := loopback()
		change(&says)
		return &tls.Config{Certificates: []tls.Certificate{by.issue(t, says)}}
	}
	as := func(*leaf) {}
	tests := map[string]struct {
		server *tls.Config
		detail string
	}{
		"another authority":  {with(theirs, as), "its certificate is signed by an authority that is not trusted here"},
		"another name":       {with(ours, func(l *leaf) { l.ips, l.names = nil, []string{canary + ".example"} }), "its certificate is for another host name"},
		"another address":    {with(ours, func(l *leaf) { l.ips = []net.IP{net.IPv4(127, 0, 0, 2)} }), "its certificate is for another host name"},
		"expired":            {with(ours, func(l *leaf) { l.until = time.Now().Add(-time.Hour) }), "its certificate is expired or not valid for this use"},
		"of a client":        {with(ours, func(l *leaf) { l.usage = x509.ExtKeyUsageClientAuth }), "its certificate is expired or not valid for this use"},
		"an alert":           {refusing(ours.issue(t, loopback())), "it refused TLS"},
		"no certificate yet": {demanding(ours.issue(t, loopback()), tls.VersionTLS12), "it refused TLS"},
		"too old":            {outdated(ours.issue(t, loopback())), "it refused TLS"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config := target(t, serveTLS(t, test.server, unseen(t)))
			config.RootCAs = ours.pool()
			for _, call := range calls {
				err := call.make(t, newClient(t, config))
				assertFault(t, err, call.exchange, inwebo.ErrNeverSent, inwebo.ErrNetwork, test.detail)
			}
		})
	}
}

func refusing(certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates:       []tls.Certificate{certificate},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New(canary) },
	}
}

func demanding(certificate tls.Certificate, version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: version}
}

func outdated(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
}

// In TLS 1.3 a server refuses the client's certificate after the client may have sent: that is no answer.
func TestTLSRefusedLate(t *testing.T) {
	ours := newAuthority(t)
	config := target(t, serveTLS(t, demanding(ours.issue(t, loopback()), tls.VersionTLS13), unseen(t)))
	config.RootCAs = ours.pool()
	err := otpFinalize.make(t, newClient(t, config))
	if !isFault(err, inwebo.ErrNoAnswer, inwebo.ErrNetwork) {
		t.Errorf("%v; want no answer because of the network", err)
	}
}

func TestTLSAndPlainHTTPAreTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }))
	t.Cleanup(server.Close)
	err := otpSetup.make(t, newClient(t, target(t, strings.Replace(server.URL, "http:", "https:", 1))))
	assertFault(t, err, otpSetup.exchange, inwebo.ErrNeverSent, inwebo.ErrNetwork, "it does not speak TLS")

	overTLS := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{newAuthority(t).issue(t, loopback())}}, unseen(t))
	err = otpSetup.make(t, newClient(t, target(t, strings.Replace(overTLS, "https:", "http:", 1))))
	assertFault(t, err, otpSetup.exchange, inwebo.ErrNoAnswer, inwebo.ErrNotService, "HTTP 400")
}

// The authority that is configured is trusted, the client certificate is shown, and HTTP/2 is not negotiated.
func TestTLSAsConfigured(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		certificate := theirs.issue(t, leaf{until: time.Now().Add(time.Hour), usage: x509.ExtKeyUsageClientAuth})
		seen := 0
		base := serveTLS(t, demanding(ours.issue(t, loopback()), version), func(r *http.Request) {
			seen++
			if r.ProtoMajor != 1 || r.TLS.NegotiatedProtocol == "h2" {
				t.Errorf("%s over %q", r.Proto, r.TLS.NegotiatedProtocol)
			}
			if shown := r.TLS.PeerCertificates; len(shown) != 1 || !shown[0].Equal(must(x509.ParseCertificate(certificate.Certificate[0]))) {
				t.Errorf("%d certificates were shown, or another one", len(shown))
			}
		})
		config := target(t, base)
		config.RootCAs, config.ClientCertificate = ours.pool(), &certificate
		c := newClient(t, config)
		for range 3 {
			if err := otpSetup.make(t, c); err != nil {
				t.Error(err)
			}
		}
		if seen != 3 {
			t.Errorf("%d requests came through", seen)
		}
	}
}
