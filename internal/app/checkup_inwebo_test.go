package app

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/secret"
)

// A proxy that refuses to connect is no fault of TLS, which has not begun.
func TestProxyThatRefusesIsNamed(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusProxyAuthRequired: "the proxy asks for a user name and a password: set them in inwebo.proxy_url (HTTP 407)",
		http.StatusBadGateway:        "the proxy cannot reach inWebo (HTTP 502)",
	} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(proxy.Close)
		c := config.Default().Inwebo
		c.URL, c.ProxyURL = &url.URL{Scheme: "https", Host: "127.0.0.1:443"}, secret.NewText(proxy.URL)
		findings, _ := inspectInwebo(t.Context(), &config.Config{Inwebo: c})
		last := findings[len(findings)-1]
		if last.What != byConnection || !strings.Contains(last.Detail, want) || !strings.Contains(last.Advice, "inwebo.proxy_url") {
			t.Errorf("HTTP %d: %+v", status, findings)
		}
	}
}
