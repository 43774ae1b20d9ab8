package pimsdtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// The operators' listener has the page of the API, which shows it, and calls nothing beside a service.
func TestThePageOfTheAPI(t *testing.T) {
	t.Parallel()
	serving := pimsdtest.Start(t)
	trying := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.Ops.Try = true })
	for d, calls := range map[*pimsdtest.Daemon]bool{serving: false, trying: true} {
		if status, page := d.Ops("/docs/"); status != http.StatusOK || !strings.Contains(page, "swagger-ui-bundle.js") {
			t.Errorf("/docs/: %d, %s", status, page)
		}
		if _, script := d.Ops("/docs/page.js"); strings.Contains(script, "try: false}") == calls {
			t.Errorf("that the page calls is %v: %s", calls, script)
		}
		want := http.StatusNotFound
		if calls {
			want = http.StatusOK
		}
		if status, _ := d.Ops("/docs/try/openapi.yaml"); status != want {
			t.Errorf("a call from the page: HTTP %d, want %d", status, want)
		}
		if got := d.Do(request(t, d)); got.Status != http.StatusNotFound {
			t.Errorf("the API's listener has the page: %d", got.Status)
		}
	}
}

// A service serves no key, even one that it was configured with by mistake; pimsd dev serves it to its page.
func TestOnlyThePageOfDevGetsTheKey(t *testing.T) {
	t.Parallel()
	const key = "pims_of_the_demo"
	withKey := func(s *pimsdtest.Setup) { s.Config.Ops.TryKey = secret.NewText(key) }
	for d, served := range map[*pimsdtest.Daemon]bool{
		pimsdtest.Start(t, withKey): false,
		pimsdtest.Start(t, withKey, func(s *pimsdtest.Setup) { s.Config.Ops.Try = true }): true,
	} {
		status, body := post(t, d.OpsURL("/docs/key"))
		if (body == key) != served || (status == http.StatusOK) != served {
			t.Errorf("served is %v: HTTP %d, %q", served, status, body)
		}
		for _, path := range []string{"/", "/docs/", "/docs/page.js", "/docs/openapi.yaml", "/docs/errors", "/docs/key"} {
			if _, body := d.Ops(path); strings.Contains(body, key) {
				t.Errorf("%s has the key", path)
			}
		}
		if strings.Contains(d.Log(), key) {
			t.Error("the log has the key")
		}
	}
}

func post(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func request(t *testing.T, d *pimsdtest.Daemon) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL("/docs/"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
