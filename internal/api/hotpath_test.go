package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/testkit/hotpath"
)

// nowhere takes an answer and keeps nothing of it but the status.
type nowhere struct {
	header http.Header
	status int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(status int)      { w.status = status }

func hotSteps(tb testing.TB) []hotpath.Step {
	tb.Helper()
	b := newBench(tb)
	return []hotpath.Step{
		{Name: "body", Most: 38, Do: func() {
			if _, _, err := api.ReadObject([]byte(aBody)); err != nil {
				tb.Fatal(err)
			}
		}},
		{Name: "request and answer", Most: 101, Do: func() {
			r := httptest.NewRequest(http.MethodPost, api.RouteOTP, strings.NewReader(aBody))
			r.Header.Set("Authorization", "Bearer "+aToken)
			r.Header.Set("Content-Type", "application/json")
			w := &nowhere{header: http.Header{}}
			b.ServeHTTP(w, r)
			b.journal.last(tb)
			if w.status != http.StatusOK {
				tb.Fatal(w.status)
			}
		}},
	}
}

func TestAllocations(t *testing.T) { hotpath.Test(t, hotSteps(t)) }

func BenchmarkHotPath(b *testing.B) { hotpath.Benchmark(b, hotSteps(b)) }
