package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/api"
)

// serve answers a request without a socket.
func serve(handler http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestTheCallersAddress(t *testing.T) {
	heard := &journal{}
	handler := api.New(api.Config{
		Callers: &callers{}, Observer: heard, TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"),
		},
	})
	for name, tt := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                      {"192.0.2.1:99", nil, "192.0.2.1:99"},
		"not a trusted one":             {"192.0.2.1:99", []string{"198.51.100.7"}, "192.0.2.1:99"},
		"a trusted one":                 {"10.1.2.3:99", []string{"198.51.100.7"}, "198.51.100.7"},
		"over IPv6":                     {"[2001:db8::1]:99", []string{"2001:DB9::7"}, "2001:db9::7"},
		"mapped":                        {"[::ffff:10.1.2.3]:99", []string{"198.51.100.7"}, "198.51.100.7"},
		"two trusted ones":              {"10.1.2.3:99", []string{"198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		"what the caller wrote":         {"10.1.2.3:99", []string{"10.6.6.6, 203.0.113.5, 198.51.100.7"}, "198.51.100.7"},
		"what the caller wrote, before": {"10.1.2.3:99", []string{"203.0.113.5", "198.51.100.7"}, "198.51.100.7"},
		"only trusted ones":             {"10.1.2.3:99", []string{"10.2.2.2,10.9.9.9"}, "10.2.2.2"},
		"none said":                     {"10.1.2.3:99", nil, "10.1.2.3:99"},
		"nothing said":                  {"10.1.2.3:99", []string{""}, "10.1.2.3:99"},
		"no address":                    {"10.1.2.3:99", []string{"unknown"}, "10.1.2.3:99"},
		"no address behind one":         {"10.1.2.3:99", []string{"c4n4ry, 10.9.9.9"}, "10.9.9.9"},
		"with a zone":                   {"10.1.2.3:99", []string{"fe80::1%c4n4ry"}, "10.1.2.3:99"},
		"with a port":                   {"10.1.2.3:99", []string{"198.51.100.7:80"}, "198.51.100.7"},
		"trusted ones with ports":       {"10.1.2.3:99", []string{"198.51.100.7, 10.9.9.9:1234, [2001:db8::2]:1"}, "198.51.100.7"},
		"over IPv6 with a port":         {"10.1.2.3:99", []string{"[2001:db9::7]:65535"}, "2001:db9::7"},
		"over IPv6 in brackets":         {"10.1.2.3:99", []string{"[2001:db9::7]"}, "2001:db9::7"},
		"over IPv6, it may be a port":   {"10.1.2.3:99", []string{"2001:db9::7:80"}, "2001:db9::7:80"},
		"with no port behind the colon": {"10.1.2.3:99", []string{"198.51.100.7:"}, "10.1.2.3:99"},
		"with a port that is none":      {"10.1.2.3:99", []string{"198.51.100.7:c4n4ry"}, "10.1.2.3:99"},
		"with a zone and a port":        {"10.1.2.3:99", []string{"[fe80::1%c4n4ry]:80"}, "10.1.2.3:99"},
		"with a zone in brackets":       {"10.1.2.3:99", []string{"[fe80::1%c4n4ry]"}, "10.1.2.3:99"},
		"a thousand":                    {"10.1.2.3:99", []string{strings.Repeat("10.1.1.1,", 1000) + "198.51.100.7"}, "198.51.100.7"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = tt.peer, tt.forwarded
		serve(handler, r)
		if e := heard.last(t); e.Remote != tt.want {
			t.Errorf("%s: %q, want %q", name, e.Remote, tt.want)
		}
	}
}
