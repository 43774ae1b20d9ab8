package crashtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// When the disk is full, or can only be read from one moment on, calls are refused, and soon; inWebo is asked for no OTP.
// With room again, the device is as it was.
func TestAFullDiskRefuses(t *testing.T) {
	t.Parallel()
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EROFS, unix.EDQUOT} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, variants()[0])
			defer w.end(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			log, refused, err := w.run(ctx, "daemon", otpCount, func(crashtest.Call) crashtest.Action {
				if len(w.acknowledged.otps) < 3 {
					return crashtest.Allow()
				}
				return crashtest.Fail(errno)
			})
			if err != nil || !refused || !strings.Contains(log, "Unknown error") { // of both, or of the first, and the next finds it busy
				t.Errorf("two calls are refused: %t (%v). The log:\n%s", refused, err, log)
			}
			expected, err := w.expected()
			if err != nil || expected.Issued != 3 || expected.Finalizes != 1+expected.Step { // the first enrolled
				t.Errorf("inWebo has got %d finalizes, for the device and %d rounds of 3 OTPs (%v)", expected.Finalizes, expected.Step, err)
			}
			f, err := w.inspect(t.Context(), w.dir, func(core *app.Core) (found, error) { return w.check(t.Context(), core, time.Sleep) })
			if f != foundIdle || err != nil {
				t.Errorf("afterwards the device is %s: %v", f, err)
			}
		})
	}
}
