package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// BenchmarkConversation is what one OTP costs in the store: a look-up of a key, a fetch, a lease and a settle.
func BenchmarkConversation(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			store := openFor(b, server.Database(b))
			for n := range callers {
				if err := store.Create(b.Context(), benchWrite(n, 1)); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			var next atomic.Int64
			var all sync.WaitGroup
			for n := range callers {
				all.Go(func() {
					for revision := uint64(2); next.Add(1) <= int64(b.N); revision += 2 {
						_, _, _ = store.KeyByID(b.Context(), "none")
						_, _, err := store.Fetch(b.Context(), account(n))
						if err == nil {
							err = store.Replace(b.Context(), benchWrite(n, revision))
						}
						if err == nil {
							err = store.Replace(b.Context(), benchWrite(n, revision+1))
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

func account(n int) otp.Account { return otp.Account(fmt.Sprint("account ", n)) }

func benchWrite(n int, revision uint64) otp.Write {
	w := writeOf(account(n), revision)
	w.Row.Body, w.Row.Secrets = []byte(strings.Repeat("b", 700)), secret.NewBytes([]byte(strings.Repeat("v", 1000)))
	return w
}
