package openapi_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	openapi "github.com/pimsd/pimsd/api"
)

func ask(t *testing.T, h http.Handler, method, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader("{}"))
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Everything that the page names is there, under a policy that lets nothing else in.
func TestThePageIsWhole(t *testing.T) {
	t.Parallel()
	h := openapi.PageHandler(nil)
	page := ask(t, h, http.MethodGet, "/docs/", nil).Body.String()
	named := regexp.MustCompile(`(?:src|href)="([^":,]+)"`).FindAllStringSubmatch(page, -1)
	if len(named) != 3 {
		t.Errorf("the page names %q", named)
	}
	for _, name := range append(named, []string{"", "openapi.yaml"}, []string{"", "LICENSE"}, []string{"", ""}) {
		r := ask(t, h, http.MethodGet, "/docs/"+name[1], nil)
		if r.Code != http.StatusOK || !strings.HasPrefix(r.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: %d, %v", name[1], r.Code, r.Header())
		}
	}
	if got := ask(t, h, http.MethodGet, "/docs/openapi.yaml", nil).Body.String(); got != openapi.Document() {
		t.Error("the document is another")
	}
	if r := ask(t, h, http.MethodGet, "/docs", nil); r.Header().Get("Location") != "/docs/" {
		t.Errorf("/docs: %d %v", r.Code, r.Header())
	}
}

// Calls are passed on where that is meant, from the page alone, and nowhere else.
func TestCallsArePassedOnWhereThatIsMeant(t *testing.T) {
	t.Parallel()
	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
	}))
	t.Cleanup(api.Close)
	to, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	const call = "/docs/try/v1/authentication/otp"
	trying, reading := openapi.PageHandler(to), openapi.PageHandler(nil)
	if !strings.Contains(ask(t, trying, http.MethodGet, "/docs/openapi.yaml", nil).Body.String(), "\n  - url: /docs/try\n") {
		t.Error("the document does not say where its calls go")
	}
	const own = "http://127.0.0.1:9464"
	for _, tc := range []struct {
		handler    http.Handler
		from, base string
		status     int
	}{
		{reading, "same-origin", own, http.StatusNotFound},
		{trying, "same-origin", own, http.StatusOK},
		{trying, "same-origin", "http://localhost", http.StatusOK},
		{trying, "same-origin", "http://localhost:9464", http.StatusOK},
		{trying, "same-origin", "http://[::1]:9464", http.StatusOK},
		{trying, "same-origin", "http://[::1]", http.StatusOK},
		{trying, "cross-site", own, http.StatusForbidden},
		{trying, "same-site", own, http.StatusForbidden},
		// The name of a page elsewhere that was resolved to this machine.
		{trying, "same-origin", "http://evil.example:9464", http.StatusMisdirectedRequest},
		{trying, "same-origin", "http://localhost.evil.example", http.StatusMisdirectedRequest},
		{trying, "same-origin", "http://127.0.0.1.evil.example:9464", http.StatusMisdirectedRequest},
	} {
		asked = nil
		r := ask(t, tc.handler, http.MethodPost, tc.base+call, http.Header{"Sec-Fetch-Site": {tc.from}})
		if passed := len(asked) == 1 && asked[0] == "POST /v1/authentication/otp"; r.Code != tc.status && r.Code != http.StatusMethodNotAllowed ||
			passed != (tc.status == http.StatusOK) {
			t.Errorf("%s, %s: HTTP %d, the API was asked %v", tc.base, tc.from, r.Code, asked)
		}
	}
}
