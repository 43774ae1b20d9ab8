package openapi_test

import (
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/secret"
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
	for _, name := range append(named, []string{"", "openapi.yaml"}, []string{"", "LICENSE"}, []string{"", ""},
		[]string{"", "errors"}, []string{"", "errors.css"}) {
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
	trying, reading := openapi.PageHandler(&openapi.Try{API: to}), openapi.PageHandler(nil)
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

func TestErrorsPageExplainsTheCatalog(t *testing.T) {
	t.Parallel()
	h := openapi.PageHandler(nil)
	got := ask(t, h, http.MethodGet, "/docs/errors", nil)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": ask(t, h, http.MethodGet, "/docs/", nil).Header().Get("Content-Security-Policy"),
	} {
		if value := got.Header().Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	page := got.Body.String()
	if strings.Contains(page, "<script") || strings.Contains(page, "style=") || strings.Contains(page, "`") {
		t.Error("the page has a script, a style that its policy forbids, or raw Markdown")
	}
	for _, entry := range errcodes.All() {
		_, section, found := strings.Cut(page, `<section id="`+entry.Code.String()+`">`)
		section, _, _ = strings.Cut(section, "</section>")
		section = html.UnescapeString(regexp.MustCompile("<[^>]*>").ReplaceAllString(section, " "))
		section = strings.Join(strings.Fields(section), " ")
		want := []string{entry.Label, entry.Type}
		for _, cause := range entry.Causes {
			want = append(want, string(cause.Reason), string(cause.Advice), cause.When)
		}
		for _, advice := range []string{entry.Caller, entry.Operator} {
			want = append(want, strings.Split(advice, "`")...)
		}
		for _, text := range want {
			if !strings.Contains(section, strings.Join(strings.Fields(text), " ")) {
				t.Errorf("%v: found %v, the section lacks %q: %s", entry.Code, found, text, section)
			}
		}
	}
}

// The script links the codes that the server lists for it: those of the catalog.
func TestPageScriptKnowsEveryCode(t *testing.T) {
	t.Parallel()
	script := ask(t, openapi.PageHandler(nil), http.MethodGet, "/docs/page.js", nil).Body.String()
	first, _, _ := strings.Cut(script, "\n")
	for _, entry := range errcodes.All() {
		if !strings.Contains(first, entry.Code.String()) {
			t.Errorf("%v is missing: %s", entry.Code, first)
		}
	}
}

// The key is served to the page where it may call the API, in answer to a POST from this machine, and is in no file of the page.
func TestKeyIsServedToItsOwnPageAlone(t *testing.T) {
	t.Parallel()
	const key = "pims_secret"
	trying := openapi.PageHandler(&openapi.Try{API: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Key: secret.NewText(key)})
	keyless := openapi.PageHandler(&openapi.Try{API: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}})
	const own, here = "http://127.0.0.1:9464", "127.0.0.1:5000"
	for _, tc := range []struct {
		handler            http.Handler
		method, from, base string
		client             string
		status             int
	}{
		{trying, http.MethodPost, "same-origin", own, here, http.StatusOK},
		{trying, http.MethodPost, "same-origin", "http://localhost:9464", "[::1]:5000", http.StatusOK},
		{trying, http.MethodPost, "same-origin", own, "[::ffff:127.0.0.1]:5000", http.StatusOK},
		{trying, http.MethodPost, "same-origin", "http://192.0.2.1:9464", "192.0.2.7:5000", http.StatusNoContent},
		{trying, http.MethodPost, "cross-site", own, here, http.StatusForbidden},
		{trying, http.MethodPost, "same-site", own, here, http.StatusForbidden},
		{trying, http.MethodPost, "same-origin", "http://evil.example:9464", here, http.StatusMisdirectedRequest},
		{trying, http.MethodGet, "same-origin", own, here, http.StatusNotFound},
		{keyless, http.MethodPost, "same-origin", own, here, http.StatusNoContent},
		{openapi.PageHandler(nil), http.MethodPost, "same-origin", own, here, http.StatusMethodNotAllowed},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.base+"/docs/key", http.NoBody)
		r.RemoteAddr = tc.client
		r.Header.Set("Sec-Fetch-Site", tc.from)
		w := httptest.NewRecorder()
		tc.handler.ServeHTTP(w, r)
		if w.Code != tc.status || (w.Body.String() == key) != (tc.status == http.StatusOK) {
			t.Errorf("%s %s from %s, %s: HTTP %d, %q", tc.method, tc.base, tc.client, tc.from, w.Code, w.Body)
		}
		if w.Code == http.StatusOK && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("the key may be cached: %v", w.Header())
		}
	}
	for _, path := range []string{"", "page.js", "openapi.yaml", "errors"} {
		if strings.Contains(ask(t, trying, http.MethodGet, "/docs/"+path, nil).Body.String(), key) {
			t.Errorf("the key is in %q", path)
		}
	}
}
