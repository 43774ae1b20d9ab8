package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// BenchmarkHousekeeping measures what 5 s of 1,000 OTPs a second leave to be removed: 5,000 responses to spend, 5,000 keys to drop
// and 10,000 lines of the audit log, while a caller writes. Housekeeping keeps up when it takes less than 5 s.
func BenchmarkHousekeeping(b *testing.B) {
	const otps = 5000
	s := openForBench(b)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(s.Create(b.Context(), benchWrite(1, 1)))
	for n := range b.N {
		b.StopTimer()
		must(leave(b.Context(), s, n, otps, now().Add(-2*time.Hour), now().Add(-30*time.Hour)))
		ctx, stop := context.WithCancel(b.Context())
		var caller sync.WaitGroup
		caller.Go(func() {
			for i := uint64(0); ctx.Err() == nil; i++ {
				w := benchWrite(2+n, i+1)
				if i == 0 {
					_ = s.Create(ctx, w)
				} else {
					_ = s.Replace(ctx, w)
				}
			}
		})
		b.StartTimer()
		must(s.ForgetAnswers(b.Context(), time.Hour, 24*time.Hour))
		must(s.ForgetLines(b.Context(), time.Hour))
		b.StopTimer()
		stop()
		caller.Wait()
	}
	b.ReportMetric(float64(4*otps*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// leave stores so many responses to spend, keys to drop and twice as many lines, past the writer's callers.
func leave(ctx context.Context, s *Store, round, count int, toSpend, toDrop time.Time) error {
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		for i := range 2 * count {
			w := benchWrite(1, uint64(i+2))
			w.ID = fmt.Sprintf("left/%d/%d", round, i)
			w.AuditEntry.At = toSpend
			if i%2 == 1 {
				w.AuditEntry.At = toDrop
			}
			w.Response = &otp.KeyedResponse{Key: fmt.Sprintf("%d%063d", round%10, i), IsOTP: true, StoredResponse: otp.StoredResponse{
				At: w.AuditEntry.At, Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("response")),
			}}
			if failure = on.insertLine(w.ID, w.AuditEntry); failure == nil {
				_, failure = keeping(w)(on)
			}
			if failure != nil {
				return nil, failure
			}
		}
		return nil, nil
	})
}
