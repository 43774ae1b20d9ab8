package pimsdtest_test

import (
	"net/http"
	"strings"
	"testing"

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
		if _, script := d.Ops("/docs/page.js"); strings.Contains(script, "supportedSubmitMethods: []") == calls {
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

func request(t *testing.T, d *pimsdtest.Daemon) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL("/docs/"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
