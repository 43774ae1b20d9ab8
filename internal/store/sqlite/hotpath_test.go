package sqlite

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/hotpath"
)

func hotSteps(tb testing.TB) []hotpath.Step {
	tb.Helper()
	s := openWith(tb, tb.TempDir()+"/data", builtIn())
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	key, _, err := authn.NewKey(authn.Grant{Backend: true}, time.Now(), time.Time{})
	must(err)
	must(s.AddKey(tb.Context(), key))
	revision := uint64(1)
	write := benchWrite(1, revision)
	must(s.Create(tb.Context(), write))
	return []hotpath.Step{
		{Name: "key by id", Most: 49, Do: func() {
			_, err := s.KeyByID(tb.Context(), key.ID)
			must(err)
		}},
		{Name: "fetch", Most: 38, Do: func() {
			_, _, err := s.Fetch(tb.Context(), write.Row.Account)
			must(err)
		}},
		{Name: "replace", Most: 64, Do: func() {
			revision++
			must(s.Replace(tb.Context(), benchWrite(1, revision)))
		}},
	}
}

func TestAllocations(t *testing.T) { hotpath.Test(t, hotSteps(t)) }

func BenchmarkHotPath(b *testing.B) { hotpath.Benchmark(b, hotSteps(b)) }
