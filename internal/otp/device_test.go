package otp_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

const (
	serviceID = "1001"
	tsync     = 1_700_000_000
)

var rightPIN, wrongPIN = secret.NewText("1234"), secret.NewText("4321")

// device is one that a simulator and a store of its own know alike.
type device struct {
	sim     *inwebosim.Simulator
	id      string
	account otp.Account
	memory  *storetest.Memory
	before  otp.Record // as planted
}

var devices atomic.Int64

// plant makes a device that the simulator knows, in a fresh store. own is what it does unlike the knobs.
func plant(t testing.TB, sim *inwebosim.Simulator, own inwebosim.Override) *device {
	t.Helper()
	n := devices.Add(1)
	d := &device{
		sim: sim, id: fmt.Sprintf("%016x", n), account: otp.Account(fmt.Sprintf("account-%d", n)), memory: storetest.NewMemory(),
	}
	k0, k1, deviceSecret := fmt.Sprintf("%032x", 3*n), fmt.Sprintf("%032x", 5*n), fmt.Sprintf("%032x", 7*n)
	serial := fmt.Sprintf("test/_/%032x", n)
	err := sim.PlantDevice(inwebosim.Device{
		ID: d.id, Serial: serial, Login: string(d.account), PIN: rightPIN.Reveal(), Secret: deviceSecret, K0: k0, K1: k1,
		Services: []string{serviceID}, Tsync: tsync, Override: own,
	})
	must(t, err)
	drawn, err := hex.DecodeString(deviceSecret)
	must(t, err)
	d.put(t, otp.Record{
		Serial: ratchet.Serial(serial), Blocking: otp.NotBlocked,
		Device: &otp.Device{
			Identity: inwebo.Identity{ID: d.id, LastSync: fmt.Sprint(tsync)},
			Services: []inwebo.Service{{ID: serviceID, Name: "Cars"}},
			State: ratchet.State{
				Keys:   ratchet.Keys{K0: secret.NewText(k0), K1: secret.NewText(k1)},
				Secret: secret.NewBytes(drawn),
			},
		},
	})
	d.before = d.record(t)
	return d
}

// put stores a record as the account's first.
func (d *device) put(t testing.TB, r otp.Record) {
	t.Helper()
	r.Account, r.Revision = d.account, 1
	row, err := otp.Encode(r)
	must(t, err)
	must(t, d.memory.Create(context.Background(), otp.Write{ID: uuid.NewString(), Row: row, AuditEntry: otp.AuditEntry{Action: "plant"}}))
}

func (d *device) row(t testing.TB) otp.Row {
	t.Helper()
	row, _, err := d.memory.Fetch(context.Background(), d.account)
	must(t, err)
	return row
}

func (d *device) record(t testing.TB) otp.Record {
	t.Helper()
	r, err := otp.Decode(d.row(t))
	must(t, err)
	return r
}

func (d *device) truth(t testing.TB) inwebosim.DeviceState {
	t.Helper()
	truth, err := d.sim.DeviceState(d.id)
	must(t, err)
	return truth
}

// lines are the account's audit lines as "attempt" and "outcome: what"; planting made a line of no account.
func (d *device) lines(t testing.TB) (lines []string) {
	t.Helper()
	audited, err := d.memory.AuditAfter(context.Background(), 0, 1<<20)
	must(t, err)
	for _, line := range audited {
		switch {
		case line.Account != d.account:
		case line.Stage == otp.StageAttempt && line.Outcome == "":
			lines = append(lines, "attempt")
		default:
			lines = append(lines, string(line.Stage)+": "+line.Outcome)
		}
	}
	return lines
}

// inStep reports whether what is stored, opened with the right PIN, is what the simulator has.
func (d *device) inStep(t testing.TB) bool {
	t.Helper()
	r, truth := d.record(t), d.truth(t)
	keys := r.Device.State.Open(ratchet.NewKma(rightPIN, r.Serial))
	return keys.K0.Reveal() == truth.K0 && keys.K1.Reveal() == truth.K1
}

func (d *device) request() otp.Request {
	return otp.Request{Account: d.account, Caller: "test", Transaction: "t"}
}

// match selects requests of the device.
func (d *device) match(action string) inwebosim.Match {
	return inwebosim.Match{Action: action, Mode: "otp", ID: d.id}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// started is a simulator that serves until the test ends.
func started(t testing.TB, turn func(*inwebosim.Knobs)) *inwebosim.Simulator {
	t.Helper()
	knobs := inwebosim.DefaultKnobs()
	knobs.OTPLife = math.MaxInt64 // tests share it, each with its own clock: a bubble's is a quarter of a century late
	turn(&knobs)
	return testkit.StartInwebo(t, inwebosim.Options{Knobs: knobs, Seed: 11})
}

// mustVerify wants that the OTP was given, and that the simulator takes it.
func mustVerify(t testing.TB, d *device, issued otp.Issued, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Errorf("no OTP: %v", err)
	case !d.sim.Verify(issued.OTP.Reveal()):
		t.Error("the OTP does not verify")
	case issued.Blocked:
		t.Error("the account is said to be blocked")
	}
}

func mustHaveLines(t testing.TB, d *device, want ...string) {
	t.Helper()
	if got := d.lines(t); !slices.Equal(got, want) {
		t.Errorf("the audit log has\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}
