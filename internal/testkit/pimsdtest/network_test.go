package pimsdtest_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// elsewhere restarts the daemon of an enrolled account with another URL of inWebo.
func elsewhere(where func(t *testing.T, a *pimsdtest.Account) string) func(*testing.T, *pimsdtest.Account) {
	return func(t *testing.T, a *pimsdtest.Account) {
		t.Helper()
		u, err := url.Parse(where(t, a))
		if err != nil {
			t.Fatal(err)
		}
		a.Daemon.Config.Inwebo.URL = u
		a.Daemon.Restart()
	}
}

// asIs is the setup of a daemon that a cause has for itself.
func asIs(*pimsdtest.Setup) {}

// hostCauses are hosts that answer, but not as inWebo.
func hostCauses() []cause {
	foreign := func(name string, handler http.HandlerFunc) cause {
		return cause{name: name, code: 2006, status: 500, stays: true, alone: asIs, before: elsewhere(func(t *testing.T, _ *pimsdtest.Account) string {
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			return server.URL
		})}
	}
	all := []cause{
		foreign("a web server", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<!DOCTYPE html><html><body>It works!</body></html>"))
		}),
		foreign("a host that knows no such path", http.NotFound),
		foreign("a portal", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://portal.example/login", http.StatusFound)
		}),
		{name: "a wrong path", code: 2006, status: 500, stays: true, alone: asIs, before: func(_ *testing.T, a *pimsdtest.Account) {
			a.Daemon.Config.Inwebo.Path = "/iww/MAC"
			a.Daemon.Restart()
		}},
	}
	odd := func(name string, n inwebosim.Fault) []cause {
		return onEither(cause{name: name, code: 2006, status: 500}, n)
	}
	return slices.Concat(all,
		odd("a web page", inwebosim.Fault{Kind: inwebosim.KindHTML}),
		odd("HTTP 302 to inWebo itself", inwebosim.Fault{Kind: inwebosim.KindStatus, Status: http.StatusFound, Location: "/iwcxf/MAC"}),
		odd("HTTP 401", inwebosim.Fault{Kind: inwebosim.KindStatus, Status: http.StatusUnauthorized}),
		odd("HTTP 404", inwebosim.Fault{Kind: inwebosim.KindStatus, Status: http.StatusNotFound}),
	)
}

// networkCauses are ways not to reach inWebo.
func networkCauses() []cause {
	unreachable := func(name string, where func(*testing.T, *pimsdtest.Account) string) cause {
		return cause{name: name, code: 2202, status: 502, stays: true, alone: asIs, before: elsewhere(where)}
	}
	late := func(name, action string, n inwebosim.Fault) cause {
		return cause{name: name, code: 2202, status: 504, before: planting(at(action, n)), alone: func(s *pimsdtest.Setup) {
			s.Config.Inwebo.ExchangeTimeout = time.Second
		}}
	}
	const never = inwebosim.Duration(time.Hour)
	all := []cause{
		unreachable("nothing listens", func(t *testing.T, _ *pimsdtest.Account) string {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			return "http://" + listener.Addr().String()
		}),
		unreachable("no TLS there", func(_ *testing.T, a *pimsdtest.Account) string {
			return "https" + a.Daemon.Inwebo.ProtocolURL()[len("http"):]
		}),
		unreachable("TLS refused for a certificate that no authority signed", func(t *testing.T, a *pimsdtest.Account) string {
			return serveTLS(t, a).URL
		}),
		late("too late in the setup", pimsdtest.ActionSetup, inwebosim.Fault{Kind: inwebosim.KindDelay, Delay: never}),
		late("too late in the finalize", pimsdtest.ActionFinalize, inwebosim.Fault{Kind: inwebosim.KindDelay, Delay: never}),
		late("drop by drop", pimsdtest.ActionSetup, inwebosim.Fault{
			Kind: inwebosim.KindDrip, Bytes: 1, Interval: inwebosim.Duration(100 * time.Millisecond),
		}),
	}
	broken := func(name string, n inwebosim.Fault) []cause {
		return onEither(cause{name: name, code: 2202, status: 502}, n)
	}
	return slices.Concat(all,
		broken("cut before the first byte", inwebosim.Fault{Kind: inwebosim.KindCut}),
		broken("cut in the status line", inwebosim.Fault{Kind: inwebosim.KindCut, Bytes: 5}),
		onEach(cause{name: "cut in the document", code: 2202, status: 502}, cause{name: "cut in the document", code: 2316, status: 502},
			inwebosim.Fault{Kind: inwebosim.KindCut, Bytes: -4}),
		broken("HTTP 500", inwebosim.Fault{Kind: inwebosim.KindStatus, Status: http.StatusInternalServerError}),
		broken("HTTP 503", inwebosim.Fault{Kind: inwebosim.KindStatus, Status: http.StatusServiceUnavailable}),
	)
}

// nonsenseCauses are documents that inWebo does not send. In answer to a setup none of them is understood. In answer to a
// finalize, one that is the service's own may have moved the device, and is kept; any other comes from another host.
func nonsenseCauses() (all []cause) {
	for _, kind := range []inwebosim.Kind{
		inwebosim.KindTruncated, inwebosim.KindOtherRoot, inwebosim.KindEntityBomb, inwebosim.KindEmpty,
	} {
		setup := cause{name: string(kind), code: 2000, status: 500}
		finalize := cause{name: string(kind), code: 2316, status: 502}
		if kind == inwebosim.KindOtherRoot || kind == inwebosim.KindEmpty {
			finalize.code, finalize.status = 2006, 500
		}
		n := inwebosim.Fault{Kind: kind}
		if kind == inwebosim.KindTruncated {
			n.Bytes = -1 // so that its root is there
		}
		all = append(all, onEach(setup, finalize, n)...)
	}
	return all
}

// serveTLS is the account's inWebo behind TLS, with a certificate that only its own CA vouches for.
func serveTLS(t *testing.T, a *pimsdtest.Account) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(a.Daemon.Inwebo.Handler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // that a certificate is refused
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestInweboOverTLS(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	server := serveTLS(t, a)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Daemon.Config.Inwebo.CAFile = file
	elsewhere(func(*testing.T, *pimsdtest.Account) string { return server.URL })(t, a)
	wantOTP(t, a)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	heard := make(chan struct{}, 1)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard <- struct{}{} }))
	t.Cleanup(target.Close)
	a.Plant(inwebosim.Fault{Kind: inwebosim.KindStatus, Status: http.StatusTemporaryRedirect, Location: target.URL})
	if got := a.OTP(aPIN); got.Code != 2006 {
		t.Errorf("%s", got.Body)
	}
	select {
	case <-heard:
		t.Error("the redirect was followed, with all that the query carries")
	default:
	}
}

func TestASetupIsRepeatedOnceWhenTheNetworkBreaksOff(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	a.Plant(inwebosim.Fault{Kind: inwebosim.KindLostRequest, Match: inwebosim.Match{Action: pimsdtest.ActionSetup}})
	before := a.Expected().Setups
	wantOTP(t, a)
	if n := a.Expected().Setups - before; n != 2 {
		t.Errorf("%d setups", n)
	}
}
