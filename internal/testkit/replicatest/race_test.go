package replicatest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// field is a way to run the service.
type field struct {
	name      string
	processes int
	store     func(*testing.T) settings
}

// fields returns the ways. `make test` has those with two processes: what one process does is tested in internal/otp and by pimsdtest.
func fields() []field {
	return []field{
		{"one process on SQLite", 1, onSQLite},
		{"two processes on SQLite", 2, onSQLite},
		{"two processes on PostgreSQL", 2, onPostgres(database)},
	}[either(1, 0):]
}

// Many callers of one device get their OTPs, each of which verifies once, and inWebo never sees two conversations.
func TestRaceForOneDevice(t *testing.T) {
	count := either(100, 10_000)
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			knobs := inwebosim.DefaultKnobs()
			knobs.Ratchet, knobs.SecondRound = inwebosim.RatchetK0K1dK1, inwebosim.SecondRoundEveryOther
			w := newHarness(t, f.store(t), settings{"CONVERSATION_DEADLINE": "30s", "INWEBO_EXCHANGE_TIMEOUT": "10s"}, knobs)
			account := w.enroll(1)[0]
			processes := w.starts(f.processes)
			began := time.Now()
			together(count, func(caller, _ int) { w.wantOTP(processes[caller%f.processes], account) })
			t.Logf("%d OTPs by %d callers in %v", count, callers, time.Since(began).Round(time.Second))
			w.wantOneByOne(account, count)
		})
	}
}

// wantOneByOne wants inWebo to have seen no more than one conversation at a time, and the ratchet to have moved by one
// with each round.
func (w *harness) wantOneByOne(account string, otps int) {
	w.t.Helper()
	expected := w.expected(account)
	if expected.Overlaps != 0 || expected.MaxFinalizesPerChallenge != 1 || expected.WrongProofs != 0 || expected.StaleProofs != 0 {
		w.t.Errorf("inWebo has seen %+v", expected.Counters)
	}
	if int(expected.Issued) != otps || int(expected.Verified) != otps {
		w.t.Errorf("%d OTPs were issued and %d verified, want %d", expected.Issued, expected.Verified, otps)
	}
	var want []uint64
	for i := range uint64(expected.Step) {
		want = append(want, w.base+1+i)
	}
	if steps := w.steps(); !slices.Equal(steps, want) {
		w.t.Errorf("after step %d and %d rounds the steps were %d", w.base, expected.Step, steps)
	}
}

// steps are those of the audit log, of every outcome after the enrollment, in its order.
func (w *harness) steps() (steps []uint64) {
	w.t.Helper()
	var after int64
	for {
		lines, err := w.core.Store.AuditAfter(w.t.Context(), after, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(lines) == 0 {
			return steps
		}
		for _, line := range lines {
			if line.Stage == otp.StageOutcome && line.Step > w.base {
				steps = append(steps, line.Step)
			}
			after = line.ID
		}
	}
}
