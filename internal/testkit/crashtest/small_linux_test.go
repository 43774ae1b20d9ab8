package crashtest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// together is how many accounts ask at the same time.
const together = 4

// The disk fills up while four accounts have an answer of inWebo in hand. All four are stored and their OTPs delivered: in the
// room of the log, which is written back and begun again, and where a reader of the store is in the way of that, in the room of the
// reserve. After that no call reaches inWebo, readiness says why, and with room again all is well.
func TestSettlesOnAFullDisk(t *testing.T) {
	t.Parallel()
	all := fmt.Sprint(together, " OTPs")
	for name, tc := range map[string]struct {
		reads bool
		want  []string
	}{
		"the log begins again": {false, []string{reportEnrolled, all, "ready", "a call: answered", reportMakeRoom, "ready", all}},
		"the reserve is used":  {true, []string{reportEnrolled, all, "not ready: no reserve", "a call: refused", reportMakeRoom, "ready", all}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, variant{inwebosim.RatchetK0K1dK1, inwebosim.LostFinalizeStrict})
			defer w.end(t)
			knobs := w.inwebo.Knobs()
			knobs.DeviceLimit, knobs.SecondRound = together, inwebosim.SecondRoundNever
			if err := w.inwebo.SetKnobs(knobs); err != nil {
				t.Fatal(err)
			}
			fillTheDisk(t, w, tc.reads, tc.want)
			for _, id := range w.inwebo.DeviceIDs() {
				if expected, err := w.inwebo.DeviceState(id); err != nil || expected.WrongProofs != 0 || expected.Issued < 2 {
					t.Errorf("inWebo has seen %+v (%v)", expected.Counters, err)
				}
			}
		})
	}
}

// fillTheDisk runs the child on a disk that is full from its first answers of inWebo on until it asks for room.
func fillTheDisk(t *testing.T, w *harness, reads bool, want []string) {
	t.Helper()
	disk := smallDisk{sizes: map[string]int64{}}
	stopReading := func() {}
	var said []string
	hear := func(line string) {
		switch said = append(said, line); line {
		case reportEnrolled:
			if reads {
				stopReading = keepReading(t, w.dir)
			}
			w.inwebo.SetHooks(holdFinalizes(together, func() { disk.full.Store(true) }))
		case reportMakeRoom:
			stopReading()
			disk.full.Store(false)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	log, failed, err := watch(ctx, "four", []string{w.dir, w.inwebo.ProtocolURL()}, w.root, func(c crashtest.Call) crashtest.Action {
		if c.Op != crashtest.Report {
			return disk.decide(c)
		}
		hear(string(bytes.TrimSpace(c.Data)))
		return crashtest.Allow()
	})
	if err != nil || failed || !slices.Equal(said, want) {
		t.Errorf("the daemon reports %q, want %q (%v, %t). Its log:\n%s", said, want, err, failed, log)
	}
}

// keepReading has a reader see the store as it is now, until it is told to stop.
func keepReading(t *testing.T, dir string) (stop func()) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Error(err)
		return func() {}
	}
	rows, err := db.QueryContext(t.Context(), "SELECT account FROM device") //nolint:rowserrcheck,sqlclosecheck // stop closes it
	if err != nil || !rows.Next() {
		t.Errorf("the reader has nothing to read: %v", err)
	}
	return func() {
		if err := errors.Join(rows.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// holdFinalizes holds the answers of the next n finalizes back until all of them are there, and then calls do.
func holdFinalizes(n int32, do func()) inwebosim.Hooks {
	var waiting atomic.Int32
	release := make(chan struct{})
	return inwebosim.Hooks{After: func(x inwebosim.Exchange) {
		if x.Action != "ActionFinalize" || waiting.Load() == n {
			return
		}
		if waiting.Add(1) == n {
			do()
			close(release)
		}
		<-release
	}}
}

// smallDisk is a disk that has no room but what is given back, while it is full.
type smallDisk struct {
	full  atomic.Bool
	sizes map[string]int64 // of files, by path
	room  int64            // that was given back while the disk was full
}

// decide lets calls pass that need no more room than there is.
func (d *smallDisk) decide(c crashtest.Call) crashtest.Action {
	full, size := d.full.Load(), d.sizes[c.Path]
	grown := size
	switch c.Op {
	case crashtest.Create, crashtest.Remove:
		grown = 0
	case crashtest.Truncate:
		grown = c.At
	case crashtest.Write:
		grown = max(size, c.At+int64(len(c.Data)))
	case crashtest.Rename, crashtest.Link, crashtest.Sync, crashtest.MakeDir, crashtest.Report:
	}
	switch {
	case !full:
		d.room = 0
	case grown-size > d.room:
		return crashtest.Fail(unix.ENOSPC)
	default:
		d.room -= grown - size
	}
	d.sizes[c.Path] = grown
	return crashtest.Allow()
}

// reportMakeRoom is the last report of the child on the full disk.
const reportMakeRoom = "make room"

// askTogether is the child: a daemon with four accounts that ask at the same time, before, while and after the disk is full. It
// waits for nothing that its parent does, since each report is passed on before the child goes on.
func askTogether(ctx context.Context, args []string) (err error) {
	c, err := settings(args[0], args[1])
	if err != nil {
		return err
	}
	a, err := app.New(ctx, c, os.Stderr)
	if err != nil {
		return err
	}
	running, interrupt := context.WithCancel(ctx)
	defer interrupt()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	keys := make([]string, together)
	for i := range keys {
		if keys[i], err = enrollOne(ctx, a, otp.Account(fmt.Sprint("account ", i))); err != nil {
			return err
		}
	}
	say := func(text string, err error) {
		if err != nil {
			text = err.Error()
		}
		fmt.Println(text)
	}
	say(reportEnrolled, nil)
	say(fmt.Sprint(askAll(ctx, a, keys), " OTPs"), nil)
	say(readiness(ctx, a))
	outcome := "answered"
	if askAll(ctx, a, keys[:1]) == 0 {
		outcome = "refused"
	}
	say("a call: "+outcome, nil)
	say(reportMakeRoom, nil)
	say(readiness(ctx, a))
	say(fmt.Sprint(askAll(ctx, a, keys), " OTPs"), nil)
	interrupt()
	return <-ended
}

func enrollOne(ctx context.Context, a *app.App, account otp.Account) (key string, err error) {
	_, err = a.OTP.Enroll(ctx, otp.Request{Account: account, Caller: "test"}, otp.EnrollRequest{
		SMSCode: secret.NewText(inwebosim.DefaultCode), PIN: secret.NewText(pin),
	})
	if err != nil {
		return "", err
	}
	k, text, err := authn.NewKey(authn.Grant{Account: string(account)}, time.Now(), time.Time{})
	if err != nil {
		return "", err
	}
	return text.Reveal(), a.Store.AddKey(ctx, k)
}

// askAll has all of them ask at the same time, and returns how many get an OTP.
func askAll(ctx context.Context, a *app.App, keys []string) int {
	var all sync.WaitGroup
	var given atomic.Int32
	for _, key := range keys {
		all.Go(func() {
			if _, err := post(ctx, a.APIAddress(), key); err == nil {
				given.Add(1)
			} else {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	all.Wait()
	return int(given.Load())
}

// readiness says whether the daemon is ready, and whether that is for want of the reserve.
func readiness(ctx context.Context, a *app.App) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.OpsAddress()+"/readyz?verbose", http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return "", err
	case response.StatusCode == http.StatusOK:
		return "ready", nil
	case strings.Contains(string(text), "reserve"):
		return "not ready: no reserve", nil
	}
	return string(text), nil
}
