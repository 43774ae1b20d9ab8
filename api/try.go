package openapi

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
)

// tryPath is what calls that the page makes begin with.
const tryPath = "/docs/try"

// keyPath is where the page asks for the key that it fills in.
const keyPath = "/docs/key"

// Try lets the page call the API.
type Try struct {
	API *url.URL    // calls are passed on to it
	Key secret.Text // the page fills it in; empty: a person enters one
}

// passOn returns a handler that passes the page's calls on to the API.
func (t *Try) passOn() http.Handler {
	return ownPageOnly(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(t.API) }})
}

// serveKey returns a handler that answers the page's POST with the key. Only a client on this machine gets it, even where the listener
// can be reached from others.
func (t *Try) serveKey() http.Handler {
	return ownPageOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !client.Addr().Unmap().IsLoopback() || t.Key.IsEmpty() {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		setContent(w, "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, t.Key.Reveal()) // it fails only when the client has left
	}))
}

// ownPageOnly lets requests through that the page itself has made: a browser labels those of every other page. A page whose own name
// was resolved to this machine would be taken for this one, so requests must name the machine by its address.
func ownPageOnly(next http.Handler) http.Handler {
	guarded := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAddress(r.Host) {
			http.Error(w, "open this page by an IP address or as localhost: calls from another name are not passed on",
				http.StatusMisdirectedRequest)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// isAddress reports whether a Host header names a machine without the help of a name server.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}
