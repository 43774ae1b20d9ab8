package otp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A settle that commits right after its caller was told that the state is not stored has an audit entry that says so.
func TestAuditOfSettleAfterCallerWasTold(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	synctest.Test(t, func(t *testing.T) {
		replaces := 0
		began := time.Now()
		store := &storetest.Breaking{Store: d.memory, Decide: func(call storetest.Call) storetest.Fault {
			if call.Verb != storetest.Replace {
				return storetest.Fault{}
			}
			switch replaces++; replaces {
			case 2: // the settle fails shortly before the deadline …
				time.Sleep(time.Until(began.Add(limits().Deadline - 30*time.Millisecond)))
				return storetest.Fault{Err: errStoreFault}
			case 3: // … and its repeat, which begins before the deadline, commits after it
				time.Sleep(time.Second)
			}
			return storetest.Fault{}
		}}
		service := otp.New(store, newBridge(sim), limits(), nil)
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrNotStored) {
			t.Fatalf("%v; want ErrNotStored", err)
		}
		drained(t, service)
		lines := d.lines(t)
		if last := lines[len(lines)-1]; last != "outcome: "+string(otp.ReasonOf(otp.ErrNotStored)) {
			t.Errorf("the audit log is %q; the caller was told that the state is not stored", lines)
		}
	})
}

// A write that hangs past the deadline, and is stored all the same, has said "done": the audit log is corrected, too.
func TestAuditOfSettleThatIsStoredUnseen(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		store := &storetest.Breaking{Store: d.memory, Decide: func(call storetest.Call) storetest.Fault {
			if call.N != settle1.nth {
				return storetest.Fault{}
			}
			applyLate(call, d.memory)
			time.Sleep(time.Until(began.Add(limits().Deadline)))
			return storetest.Fault{Err: context.DeadlineExceeded}
		}}
		service := otp.New(store, newBridge(sim), limits(), nil)
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrNotStored) {
			t.Fatalf("%v; want ErrNotStored", err)
		}
		drained(t, service)
		mustHaveLines(t, d, "attempt", "outcome: done", "outcome: "+string(otp.ReasonOf(otp.ErrNotStored)))
	})
}

// There is no doubt where there is no device: an enrollment whose process died leaves nothing that could lag behind inWebo.
func TestNoDoubtWithoutDevice(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	row, err := otp.Encode(otp.Record{Account: e.account, Revision: 1, Serial: ratchet.Serial("phone/_/" + strings.Repeat("ab", 16)), Lease: &otp.Lease{
		Conversation: "dead", Revision: 1, Since: time.Now().Add(-time.Hour), Until: time.Now().Add(-time.Minute),
	}})
	must(t, err)
	must(t, e.memory.Create(t.Context(), otp.Write{ID: "dead", Row: row}))
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	if status, err := service.Status(t.Context(), e.account); err != nil || status.InDoubt {
		t.Errorf("%+v, %v", status, err)
	}
	must(t, e.enroll(t, limits(), otp.EnrollRequest{}))
	if r := e.record(t); r.Doubt != nil {
		t.Errorf("after an enrollment: %+v", r.Doubt)
	}
}
