package crashtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/crashtest"
)

// When the disk is full, or can only be read from one moment on, calls are refused, and soon; inWebo hears nothing of them.
// With room again, the device is as it was.
func TestAFullDiskRefuses(t *testing.T) {
	t.Parallel()
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EROFS, unix.EDQUOT} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, manners()[0])
			defer w.end(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			heard := uint32(0)
			log, refused, err := w.run(ctx, "daemon", otpCount, func(crashtest.Call) crashtest.Verdict {
				if len(w.told.otps) < 3 {
					return crashtest.Pass()
				}
				if truth, _ := w.truth(); heard == 0 {
					heard = uint32(truth.Requests)
				}
				return crashtest.Fail(errno)
			})
			if err != nil || !refused || !strings.Contains(log, "Unknown error") { // of both, or of the first, and the next finds it busy
				t.Errorf("two calls are refused: %t (%v). The log:\n%s", refused, err, log)
			}
			truth, err := w.truth()
			if err != nil || heard == 0 || uint32(truth.Requests) != heard || len(w.told.otps) != 3 {
				t.Errorf("inWebo has heard %d requests after %d (%v), and %d OTPs were told", truth.Requests, heard, err, len(w.told.otps))
			}
			f, err := w.look(t.Context(), w.dir, func(core *app.Core) (found, error) { return w.judge(t.Context(), core, time.Sleep) })
			if f != foundIdle || err != nil {
				t.Errorf("afterwards the device is %s: %v", f, err)
			}
		})
	}
}
