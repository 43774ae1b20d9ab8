package app

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// What keeps an outcome from being stored is logged, each reason once a minute, however often the settle is tried.
func TestFailedSettlesAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		domain := observeMetrics(telemetry.NewMetrics("test", nil), zap.New(core)).OTP
		expect := func(when string, want int) {
			t.Helper()
			if got := logs.TakeAll(); len(got) != want {
				t.Errorf("%s: %d lines, want %d: %v", when, len(got), want, got)
			}
		}
		damaged, full := errors.New("the database is damaged"), errors.New("no room")
		for range 10 {
			domain.Committed(otp.CommitSettle, damaged)
			domain.Committed(otp.CommitSettle, full)
		}
		expect("two failures", 2)
		time.Sleep(settleFailureInterval)
		domain.Committed(otp.CommitSettle, damaged)
		expect("a minute later", 1)
		for i := range 10 * maxSettleFailures {
			domain.Committed(otp.CommitSettle, fmt.Errorf("dial from port %d: connection refused", i))
		}
		expect("failures of many texts", maxSettleFailures-1)
		for _, harmless := range []error{nil, otp.ErrConflict, otp.ErrExists, otp.ErrHistoryChanged} {
			domain.Committed(otp.CommitSettle, harmless)
		}
		domain.Committed(otp.CommitLease, full) // the caller's line says so
		expect("what is no failure of a settle", 0)
	})
}
