package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// BenchmarkReplace compares writing by group commit with writing one by one, each write in a transaction of its own and
// without the detour over the writer: what the store gains at many callers, and what it costs a lone one.
func BenchmarkReplace(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d/one-by-one", callers), func(b *testing.B) {
			s := openForBench(b)
			benchmarkReplace(b, s, callers, oneByOne(s))
		})
		b.Run(fmt.Sprintf("callers=%d/group", callers), func(b *testing.B) {
			s := openForBench(b)
			benchmarkReplace(b, s, callers, s.Replace)
		})
	}
}

func openForBench(b *testing.B) *Store {
	b.Helper()
	s, err := OpenOrCreate(b.Context(), Options{Dir: filepath.Join(b.TempDir(), "data")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// oneByOne returns a Replace that runs on the writer's connection, past the writer, which has nothing to do meanwhile.
func oneByOne(s *Store) func(context.Context, otp.Write) error {
	var turn sync.Mutex
	return func(_ context.Context, w otp.Write) error {
		turn.Lock()
		defer turn.Unlock()
		batch := []*job{{Task: task{change: writing(w)}}}
		s.writer.store(batch)
		s.writer.save(len(batch))
		return batch[0].Task.result
	}
}

func benchmarkReplace(b *testing.B, s *Store, callers int, replace func(context.Context, otp.Write) error) {
	b.Helper()
	for i := range callers {
		if err := s.Create(b.Context(), benchWrite(i, 1)); err != nil {
			b.Fatal(err)
		}
	}
	took := make([][]time.Duration, callers)
	var all sync.WaitGroup
	b.ResetTimer()
	for i := range callers {
		all.Go(func() {
			for n := range (b.N + callers - 1 - i) / callers {
				start := time.Now()
				if err := replace(b.Context(), benchWrite(i, uint64(n+2))); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	sorted := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(len(sorted))/b.Elapsed().Seconds(), "writes/s")
	b.ReportMetric(float64(sorted[len(sorted)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(sorted[len(sorted)*99/100].Microseconds()), "p99-µs")
}

// benchWrite is a write of about the size that a device has. Its id grows with time: then the writes of one transaction
// are neighbours in the index of ids, which is nearly half of what there is to write.
func benchWrite(caller int, revision uint64) otp.Write {
	account := otp.Account(fmt.Sprint("account ", caller))
	return otp.Write{
		ID:         uuid.Must(uuid.NewV7()).String(),
		Row:        otp.Row{Account: account, Revision: revision, Body: make([]byte, 1500), Secrets: secret.NewBytes(make([]byte, 500)), LeasedUntil: time.Unix(int64(revision), 0)},
		AuditEntry: otp.AuditEntry{At: now(), Account: account, Caller: "key:bench", Transaction: uuid.NewString(), Action: "otp", Stage: otp.StageAttempt, Step: revision},
	}
}
