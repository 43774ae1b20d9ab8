package crashtest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// otpCount is how many OTPs a child asks for.
const otpCount = 20

// variant says how an inWebo moves its devices, and how it treats one that is a step behind. Half of the OTPs take two rounds.
type variant struct {
	ratchet inwebosim.Ratchet
	lost    inwebosim.LostFinalize
}

// variants are those that the points of a sweep take in turns.
func variants() []variant {
	return []variant{
		{inwebosim.RatchetK1, inwebosim.LostFinalizeStrict},
		{inwebosim.RatchetK0K1, inwebosim.LostFinalizeLenient},
		{inwebosim.RatchetDK1, inwebosim.LostFinalizeForbidden},
		{inwebosim.RatchetK0K1dK1, inwebosim.LostFinalizeLenient},
	}
}

// harness has one store, a simulated inWebo, and what the children have reported so far.
type harness struct {
	root, dir    string
	inwebo       *inwebosim.Simulator
	acknowledged acknowledged
}

// acknowledged is what the children have reported. It must stay true.
type acknowledged struct {
	enrolling, enrolled bool

	base   uint64 // the step after the enrollment
	stored uint64 // the step that the child found when it started last
	otps   []string
}

func newHarness(t *testing.T, m variant) *harness {
	t.Helper()
	root := t.TempDir()
	knobs := inwebosim.DefaultKnobs()
	knobs.Ratchet, knobs.LostFinalize, knobs.SecondRound = m.ratchet, m.lost, inwebosim.SecondRoundEveryOther
	knobs.DeviceLimit = 1 // one serial has to do for all enrollments
	knobs.OTPLife = inwebosim.Duration(time.Hour)
	inwebo, err := inwebosim.New(inwebosim.Options{Knobs: knobs})
	if err != nil {
		t.Fatal(err)
	}
	inwebo.Start()
	return &harness{root: root, dir: filepath.Join(root, "data"), inwebo: inwebo}
}

// end stops the inWebo and removes the files.
func (w *harness) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := w.inwebo.Stop(ctx); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(w.root); err != nil {
		t.Error(err)
	}
}

// run runs a child, and asks decide about each of its calls that is no report. When it returns, inWebo has handled what the child
// had sent, or never will: a challenge that a dead child has asked for replaces no later one.
func (w *harness) run(ctx context.Context, child string, otps int, decide func(crashtest.Call) crashtest.Action) (log string, failed bool, err error) {
	front := httptest.NewServer(w.inwebo.Handler())
	defer front.Close()
	return watch(ctx, child, []string{w.dir, front.URL, strconv.Itoa(otps)}, w.root, func(c crashtest.Call) crashtest.Action {
		if c.Op != crashtest.Report {
			return decide(c)
		}
		w.acknowledged.add(c.Data)
		return crashtest.Allow()
	})
}

func (t *acknowledged) add(line []byte) {
	what, about, _ := strings.Cut(string(bytes.TrimSpace(line)), " ")
	switch what {
	case reportEnrolling:
		t.enrolling = true
	case reportEnrolled:
		_, _ = fmt.Sscan(about, &t.stored)
		if !t.enrolled { // else it started again
			t.enrolled, t.base = true, t.stored
		}
	case reportOTP:
		t.otps = append(t.otps, about)
	}
}

// expected returns what inWebo knows of the device, or the zero value when there is none.
func (w *harness) expected() (expected inwebosim.DeviceState, err error) {
	for _, id := range w.inwebo.DeviceIDs() {
		expected, err = w.inwebo.DeviceState(id)
	}
	return expected, err
}

// lastRound returns the round of the last reported OTP, or 0.
func (t *acknowledged) lastRound(expected inwebosim.DeviceState) (round uint32) {
	for _, issued := range expected.OTPs {
		if n := len(t.otps); n > 0 && t.otps[n-1] == issued.OTP {
			round = issued.Step
		}
	}
	return round
}
