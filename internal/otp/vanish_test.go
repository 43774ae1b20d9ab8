package otp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// interference is what happens to the row of an account while a conversation holds it.
type interference struct {
	name string
	does func(t *testing.T, d *device, before otp.Row)
	// told is the cause that the caller is told; nil for an OTP that verifies.
	callerErr error
	// inStep says that the record has the accepted state afterwards; doubt, that it is in doubt.
	inStep, doubt bool
}

// interferences with the row of a device that was planted, and is held for its first OTP.
func interferences() []interference {
	return []interference{
		{"deleted", func(_ *testing.T, d *device, _ otp.Row) { d.memory.Delete(d.account) }, nil, true, true},
		{"deleted, and activations counted", func(t *testing.T, d *device, _ otp.Row) {
			d.memory.Delete(d.account)
			d.put(t, otp.Record{Activations: 3})
			d.disable(t, true)
		}, nil, true, true},
		{"restored", func(_ *testing.T, d *device, before otp.Row) { d.memory.Restore(before) }, nil, true, true},
		{"restored and used", func(t *testing.T, d *device, before otp.Row) {
			d.memory.Restore(before)
			d.changeRecord(t, func(r *otp.Record) { r.Step = 40 })
		}, otp.ErrSuperseded, false, true},
		{"restored and used up to the revision of the lease", func(t *testing.T, d *device, before otp.Row) {
			r, err := otp.Decode(before)
			must(t, err)
			r.Revision, r.Step = d.row(t).Revision, 40
			row, err := otp.Encode(r)
			must(t, err)
			d.memory.Restore(row)
		}, otp.ErrSuperseded, false, true},
		{"deleted and made again", func(t *testing.T, d *device, _ otp.Row) {
			d.memory.Delete(d.account)
			d.put(t, otp.Record{Serial: "another/_/device"})
		}, otp.ErrSuperseded, false, false},
		{"replaced by another device", func(t *testing.T, d *device, _ otp.Row) {
			d.changeRecord(t, func(r *otp.Record) {
				r.Serial, r.Lease, r.Device.Origin, r.Device.State.Keys.K1 = "another/_/device", nil, "another", r.Device.State.Keys.K0
			})
		}, otp.ErrSuperseded, false, false},
		{"replaced by the same device of another import", func(t *testing.T, d *device, _ otp.Row) {
			d.changeRecord(t, func(r *otp.Record) { r.Lease, r.Device.Origin = nil, "another" })
		}, otp.ErrSuperseded, false, true},
		{"without its device", func(t *testing.T, d *device, _ otp.Row) {
			d.changeRecord(t, func(r *otp.Record) { r.Device = nil })
		}, otp.ErrSuperseded, false, false},
	}
}

// administer changes the record behind the back of every process.
func (d *device) changeRecord(t testing.TB, change func(*otp.Record)) {
	t.Helper()
	r := d.record(t)
	r.Revision += 10
	change(&r)
	row, err := otp.Encode(r)
	must(t, err)
	d.memory.Restore(row)
}

func (d *device) disable(t testing.TB, isDisabled bool) {
	t.Helper()
	row := d.row(t)
	row.Disabled = isDisabled
	d.memory.Restore(row)
}

// after is a client that calls back when an exchange has been answered.
func afterExchange(client *bridge, which inwebo.Exchange, nth int, do func()) {
	client.after = func(exchange inwebo.Exchange, happens mishap) mishap {
		if exchange == which {
			if nth--; nth == 0 {
				do()
			}
		}
		return happens
	}
}

// The row of a device is deleted, restored or replaced between hold and settle: the process goes on, the answer is stored
// where the device still is, and the record is in doubt where it may lag behind.
func TestRowChangesWhileInweboIsAsked(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, rounds := range []int{1, 2} {
		for nth := 1; nth <= rounds; nth++ {
			for _, row := range interferences() {
				t.Run(fmt.Sprintf("%s/in round %d of %d", row.name, nth, rounds), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						row.test(t, plant(t, sim, inwebosim.Override{SecondRound: secondRound(rounds)}), nth, rounds)
					})
				})
			}
		}
	}
}

func (i interference) test(t *testing.T, d *device, nth, rounds int) {
	before := d.row(t)
	client, hears := newBridge(d.sim), new(watcher)
	afterExchange(client, inwebo.ExchangeOTPFinalize, nth, func() { i.does(t, d, before) })
	service := otp.New(d.memory, client, limits(), hears)
	issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	drained(t, service)
	if len(hears.panics) > 0 {
		t.Errorf("panics: %v", hears.panics)
	}
	isDeleted := strings.HasPrefix(i.name, "deleted") && i.inStep
	interrupted := nth < rounds && !isDeleted // a conversation without its hold sends nothing more
	switch {
	case i.callerErr == nil && !interrupted:
		mustVerify(t, d, issued, err)
	case otp.CauseOf(err) != otp.ErrSuperseded:
		t.Errorf("the caller is told %v", err)
	}
	r := d.record(t)
	if r.Lease != nil && r.Lease.Revision > r.Revision || r.MovedBy > r.Revision || r.Doubt != nil && r.Doubt.By > r.Revision {
		t.Errorf("the record points beyond its own revision: %+v", r)
	}
	if r.Device == nil {
		if i.inStep {
			t.Error("the device is lost")
		}
		return
	}
	doubt := i.doubt && (!isDeleted || nth == rounds) // which the second round ends
	if counted := i.name == "deleted, and activations counted"; counted && (r.Activations != d.before.Activations+3 || !r.Disabled) {
		t.Errorf("what was counted meanwhile is lost: %+v", r)
	} else if counted {
		d.disable(t, false)
	}
	if d.inStep(t) != i.inStep || (r.Doubt != nil) != doubt {
		t.Errorf("in step %v, doubt %+v", d.inStep(t), r.Doubt)
	}
	if i.inStep {
		d.mustGoOn(t, newBridge(d.sim), false)
		if r := d.record(t); r.MovedBy > r.Revision {
			t.Errorf("after an OTP: %+v", r)
		}
	}
}

// A conversation that slept through the deletion of its row, and through another device in the same place, changes
// nothing of that one.
func TestLateAnswerMeetsAnotherDevice(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		callerErr := overtaken(t, d, true, func(s *otp.Service) {
			must(t, s.Forget(t.Context(), d.request()))
			must(t, s.Import(t.Context(), d.request(), otp.ForeignDevice{
				Serial: "another/_/00", Identity: inwebo.Identity{ID: "another"}, Services: d.before.Device.Services, State: d.before.Device.State,
			}))
		}, nil)
		if otp.CauseOf(callerErr) != otp.ErrNotStored {
			t.Errorf("the sleeper is told %v", callerErr)
		}
		if r := d.record(t); r.Device.Identity.ID != "another" || !r.Device.State.Keys.K1.Equal(d.before.Device.State.Keys.K1) || r.Step != d.before.Step+2 {
			t.Errorf("the other device was changed: %+v", r)
		}
	})
}

// A conversation whose lease ran out wakes to find that its row was deleted. Others have moved the device on before, of which
// nothing tells any more, so the device that the answer brings back is in doubt.
func TestLateAnswerAfterDeletion(t *testing.T) {
	t.Parallel()
	sim := started(t, func(k *inwebosim.Knobs) { k.LostFinalize = inwebosim.LostFinalizeLenient })
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		_ = overtaken(t, d, true, func(s *otp.Service) {
			for range 2 {
				issued, err := s.IssueOTP(t.Context(), d.request(), rightPIN)
				mustVerify(t, d, issued, err)
			}
			d.memory.Delete(d.account)
		}, nil)
		if r := d.record(t); d.inStep(t) || r.Doubt == nil || r.Lease != nil {
			t.Errorf("in step %v, doubt %+v, lease %+v", d.inStep(t), r.Doubt, r.Lease)
		}
	})
}

// An enrollment whose row vanishes after an exchange is stored whole, or says that it is not.
func TestEnrollmentWhoseRowVanishes(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(*enrollee){
		"deleted": func(e *enrollee) { e.memory.Delete(e.account) },
		"restored": func(e *enrollee) {
			row, err := otp.Encode(otp.Record{Account: e.account, Revision: 1})
			if err == nil {
				e.memory.Restore(row)
			}
		},
	} {
		for _, at := range stages {
			t.Run(name+"/"+string(at.exchange), func(t *testing.T) {
				t.Parallel()
				e, hears := newEnrollee(t, usual), new(watcher)
				client := &enrolleeClient{Inwebo: wire(t, e.sim.ProtocolURL(), time.Minute), at: at.exchange, then: func() { vanish(e) }}
				service := otp.New(e.memory, client, limits(), hears)
				_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
				drained(t, service)
				if len(hears.panics) > 0 {
					t.Errorf("panics: %v", hears.panics)
				}
				r := e.record(t)
				if (err == nil) != (r.Device != nil) || err != nil && otp.CauseOf(err) != otp.ErrSuperseded {
					t.Fatalf("told %v, and the device is %+v", err, r.Device)
				}
				if r.Serial == "" {
					t.Error("no serial is stored, and inWebo knows one")
				}
				if err != nil {
					e.mustEnroll(t, otp.EnrollRequest{})
				} else {
					e.id = r.Device.Identity.ID
					e.mustIssue(t)
				}
				e.mustHaveOneSerial(t)
			})
		}
	}
}

// enrolleeClient calls then once an exchange has been answered.
type enrolleeClient struct {
	otp.Inwebo
	at   inwebo.Exchange
	then func()
}

func (c *enrolleeClient) ended(exchange inwebo.Exchange) {
	if exchange == c.at {
		c.then()
	}
}

func (c *enrolleeClient) ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error) {
	defer c.ended(inwebo.ExchangeActivateSetup)
	return c.Inwebo.ActivateSetup(ctx, code)
}

func (c *enrolleeClient) ActivateFinalize(ctx context.Context, a inwebo.Activation) (inwebo.ActivateFinalize, error) {
	defer c.ended(inwebo.ExchangeActivateFinalize)
	return c.Inwebo.ActivateFinalize(ctx, a)
}

// A panic while an answer is being stored is reported, and the answer is stored all the same.
func TestPanicsDoNotLoseAnAnswer(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, row := range map[string]struct {
		first     int64 // the call of the store that panics first
		callerErr error
		lines     []string
	}{
		"hold":   {hold.nth, otp.ErrStore, []string{"attempt", "outcome: store_failed"}},
		"settle": {settle1.nth, nil, []string{"attempt", "outcome: done"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, hears := plant(t, sim, inwebosim.Override{}), new(watcher)
				store := &storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
					switch {
					case c.N == hold.nth && name == "hold":
						return storetest.Fault{Err: errStoreFault, Applied: true}
					case c.N == row.first, c.N == row.first+1:
						panic(errors.New("a panic of the store"))
					}
					return storetest.Fault{}
				}}
				service := otp.New(store, newBridge(sim), limits(), hears)
				issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
				drained(t, service)
				if otp.CauseOf(err) != row.callerErr {
					t.Errorf("told %v, want %v", err, row.callerErr)
				}
				if row.callerErr == nil {
					mustVerify(t, d, issued, err)
				}
				if len(hears.panics) == 0 || len(hears.panics) > 2 {
					t.Errorf("the observer heard of %v", hears.panics)
				}
				mustHaveLines(t, d, row.lines...)
				if d.record(t).Lease != nil {
					t.Error("the device is still held")
				}
			})
		})
	}
}

// afterFinalize calls then once a finalize of an OTP has been answered.
type afterFinalize struct {
	otp.Inwebo
	then func()
}

func (a *afterFinalize) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	defer a.then()
	return a.Inwebo.OTPFinalize(ctx, who, sid, p)
}
