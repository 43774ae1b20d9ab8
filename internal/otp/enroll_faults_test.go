package otp_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// unfinished is what a failed enrollment leaves: how far it came, and whether an old device is in doubt.
type unfinished struct {
	phase otp.EnrollmentPhase
	doubt bool
}

// enrollmentTable is the fault table of an enrollment. The old device, if there is one, is always there.
var enrollmentTable = map[stage]map[result]unfinished{
	activateSetup:    {notSent: {"", false}, noAnswer: {"", false}, refused: {"", false}, done: {"", false}},
	activateFinalize: {notSent: {"", false}, noAnswer: {otp.PhaseEnrolling, true}, refused: {"", false}, done: {otp.PhaseEnrolling, true}},
	msFinalize:       {notSent: {otp.PhaseActivated, true}, noAnswer: {otp.PhaseActivated, true}, refused: {otp.PhaseActivated, true}},
}

// Every exchange of an enrollment × whatever can go wrong with it × an account with a device or without.
func TestEnrollmentFaults(t *testing.T) {
	t.Parallel()
	for _, at := range stages {
		for i := range append(silences(nil), refusals()...) {
			for _, replace := range []bool{false, true} {
				name := append(silences(nil), refusals()...)[i].name
				if name == "late" && replace || (name == "NOK:SYNCHROFAILED" || name == "answer torn") && at == msFinalize {
					continue // the first takes its time, the others enroll: TestEnrollmentThatDoesNotSynchronize, TestAnUnreadAnswerToAnEnrollment
				}
				t.Run(fmt.Sprintf("%s/%s/replace %v", at.exchange, name, replace), func(t *testing.T) {
					t.Parallel()
					e := newEnrollee(t, usual)
					if replace {
						e.mustEnroll(t, otp.EnrollRequest{})
					}
					f := append(silences(e.sim), refusals()...)[i]
					f.testEnrollment(t, e, at, replace)
				})
			}
		}
	}
}

func (f exchangeFault) testEnrollment(t *testing.T, e *enrollee, at stage, replace bool) {
	var before otp.Record
	if replace {
		before = e.record(t)
	}
	client := otp.Inwebo(wire(t, e.sim.ProtocolURL(), time.Minute))
	if f.client != nil {
		client = &detour{Inwebo: client, other: f.client(t), of: at.exchange, nth: 1}
	}
	if f.simFault.Kind != "" {
		n := f.simFault
		n.Match = at.match
		must(t, e.sim.Plant(n))
	}
	service := otp.New(e.memory, client, limits(), nil)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: replace})
	drained(t, service)

	f = f.at(at.exchange)
	want := f.cause
	if at == activateSetup && f.name == "NOK:SN" {
		want = otp.ErrSMSCodeFormat
	}
	silent := f.cause == otp.ErrUnreachable || f.cause == otp.ErrLate
	if silent && (at == msFinalize || at == activateFinalize && f.result == noAnswer) {
		want = otp.ErrActivationLost
	}
	if otp.CauseOf(err) != want || !errors.Is(err, f.cause) {
		t.Errorf("told %v, want %v", err, want)
	}
	r := e.record(t)
	got := unfinished{doubt: r.Doubt != nil}
	if r.Enrollment != nil {
		got.phase = r.Enrollment.Phase
	}
	left := enrollmentTable[at][f.result]
	left.doubt = left.doubt && replace
	if got != left || r.Lease != nil || !reflect.DeepEqual(r.Device, before.Device) {
		t.Errorf("it leaves %+v, want %+v; the hold %+v, the device %+v", got, left, r.Lease, r.Device)
	}
	if counted := f.counts && at != activateSetup; (r.Guard.Wrong == 1) != counted || len(r.Quota.Issues) != len(before.Quota.Issues) {
		t.Errorf("guard %+v, quota %+v", r.Guard, r.Quota)
	}
	e.mustGoOnUnenrolled(t, replace, at == msFinalize || at == activateFinalize && f.accepted)
	e.mustEnroll(t, otp.EnrollRequest{Replace: replace})
	e.mustHaveOneSerial(t)
}

// mustGoOnUnenrolled asks for an OTP after an enrollment failed: there is no device, or the old one works, or it is
// in doubt because inWebo has moved on.
func (e *enrollee) mustGoOnUnenrolled(t *testing.T, replace, movedOn bool) {
	t.Helper()
	service := otp.New(e.later(), wire(t, e.sim.ProtocolURL(), time.Minute), generous(), nil)
	defer drained(t, service)
	issued, err := service.IssueOTP(t.Context(), e.request(), rightPIN)
	switch {
	case !replace:
		if otp.CauseOf(err) != otp.ErrNoDevice {
			t.Errorf("an account that is not enrolled: %v", err)
		}
	case movedOn:
		if otp.CauseOf(err) != otp.ErrInDoubt {
			t.Errorf("the old device, which inWebo knows no more: %v", err)
		}
	default:
		mustVerify(t, &e.device, issued, err)
	}
}

// What a refused activation carries is about the new device: the old one stays as it is.
func TestARefusedActivationLeavesTheOldDeviceAlone(t *testing.T) {
	t.Parallel()
	key := "0123456789abcdef0123456789abcdef"
	for _, at := range stages {
		t.Run(string(at.exchange), func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, usual)
			e.mustEnroll(t, otp.EnrollRequest{})
			before := e.record(t)
			must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:FORBIDDEN", Match: at.match, Fields: []inwebosim.Field{
				{Name: "id", Value: "another"}, {Name: "K0", Value: key}, {Name: "K1", Value: key}, {Name: "dK1", Value: key}, {Name: "Tsync", Value: "1"},
			}}))
			if err := e.enroll(t, limits(), otp.EnrollRequest{Replace: true}); !errors.Is(err, otp.ErrForbidden) {
				t.Errorf("told %v", err)
			}
			if after := e.record(t); !reflect.DeepEqual(after.Device, before.Device) {
				t.Errorf("the old device was changed: %+v", after.Device)
			}
			e.mustGoOnUnenrolled(t, true, at == msFinalize)
		})
	}
}

// An activation that lacks what an OTP is made of, or with whose keys nothing can be done, makes no device.
func TestSenselessActivation(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		at    stage
		field string
		value string // empty: the field is missing
		phase otp.EnrollmentPhase
		cause error
	}{
		"Kfact":       {activateSetup, "Kfact", "abcd", "", otp.ErrNotUnderstood},
		"Kiw":         {activateSetup, "Kiw", "abcd", "", otp.ErrNotUnderstood},
		"ms_key":      {activateFinalize, "ms_key", "abcd", otp.PhaseActivated, otp.ErrNotUnderstood},
		"no id":       {activateFinalize, "id", "", otp.PhaseEnrolling, otp.ErrNotUnderstood},
		"no K0":       {activateFinalize, "K0", "", otp.PhaseEnrolling, otp.ErrNotUnderstood},
		"no K1":       {activateFinalize, "K1", "", otp.PhaseEnrolling, otp.ErrNotUnderstood},
		"no services": {activateFinalize, "s_n", "", otp.PhaseActivated, otp.ErrNoService},
		"no service":  {activateFinalize, "s_n", "0", otp.PhaseActivated, otp.ErrNoService},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, usual)
			n := inwebosim.Fault{Kind: inwebosim.KindExtra, Match: row.at.match, Drop: []string{row.field}}
			n.Fields = []inwebosim.Field{{Name: row.field, Value: row.value}}
			if row.field == "s_n" {
				n.Drop = append(n.Drop, "s_id", "s_name")
			}
			must(t, e.sim.Plant(n))
			if err := e.enroll(t, limits(), otp.EnrollRequest{}); otp.CauseOf(err) != row.cause {
				t.Errorf("told %v, want %v", err, row.cause)
			}
			r := e.record(t)
			if r.Device != nil || r.Lease != nil || (r.Enrollment == nil) != (row.phase == "") || r.Enrollment != nil && r.Enrollment.Phase != row.phase {
				t.Errorf("%+v", r)
			}
			e.mustGoOnUnenrolled(t, false, false)
			e.mustEnroll(t, otp.EnrollRequest{})
			e.mustHaveOneSerial(t)
		})
	}
}

// An ms finalize that was done, and did not synchronize, has enrolled the device: it is stored, in doubt, and works.
func TestEnrollmentThatDoesNotSynchronize(t *testing.T) {
	t.Parallel()
	processed := true
	for _, movement := range movements {
		t.Run(string(movement), func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, func(k *inwebosim.Knobs) { k.Ratchet, k.SecretsMove = movement, true })
			must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:SYNCHROFAILED", Match: msFinalize.match, Process: &processed}))
			if err := e.enroll(t, limits(), otp.EnrollRequest{}); otp.CauseOf(err) != otp.ErrSynchroFailed {
				t.Errorf("told %v", err)
			}
			r := e.record(t)
			if r.Device == nil || r.Enrollment != nil || r.Doubt == nil || r.Lease != nil {
				t.Fatalf("it leaves %+v", r)
			}
			e.id = r.Device.Identity.ID
			e.mustIssue(t)
			if e.record(t).Doubt != nil {
				t.Error("an accepted proof leaves the doubt")
			}
			if err := e.enroll(t, limits(), otp.EnrollRequest{}); otp.CauseOf(err) != otp.ErrAlreadyEnrolled {
				t.Errorf("enrolling a device that works: %v", err)
			}
		})
	}
}

// A service list that does not add up is all that a new device has: it works with what there is of it.
func TestAServiceListThatDoesNotAddUpCostsNoDevice(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]inwebosim.Field{
		"a count that is too large": {{Name: "s_n", Value: "2"}},
		"no count":                  {{Name: "s_n", Value: ""}},
		"two counts":                {{Name: "s_n", Value: "1"}, {Name: "s_n", Value: "2"}},
		"more names":                {{Name: "s_n", Value: "1"}, {Name: "s_name", Value: "another"}},
		"an id too many":            {{Name: "s_n", Value: "2"}, {Name: "s_id", Value: "é"}, {Name: "s_name", Value: "another"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, usual)
			must(t, e.sim.Plant(inwebosim.Fault{
				Kind: inwebosim.KindExtra, Match: activateFinalize.match, Drop: []string{"s_n"}, Fields: fields,
			}))
			e.mustEnroll(t, otp.EnrollRequest{})
			service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
			defer drained(t, service)
			issued, err := service.IssueOTP(t.Context(), e.request(), rightPIN)
			mustVerify(t, &e.device, issued, err)
		})
	}
}

// A list of which nothing can be used leaves the stored one as it is: a new device has the services of the one that it replaces.
func TestAnUnusableServiceListLeavesTheStoredOne(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]inwebosim.Field{
		"an unusable id": {{Name: "s_n", Value: "1"}, {Name: "s_id", Value: "é"}, {Name: "s_name", Value: "another"}},
		"another list":   {{Name: "s_n", Value: "2"}, {Name: "s_id", Value: "1"}, {Name: "s_name", Value: "another"}},
		"no list":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, usual)
			e.mustEnroll(t, otp.EnrollRequest{})
			before := e.record(t).Device.Services
			must(t, e.sim.Plant(inwebosim.Fault{
				Kind: inwebosim.KindExtra, Match: activateFinalize.match, Drop: []string{"s_n", "s_id", "s_name"}, Fields: fields,
			}))
			e.mustEnroll(t, otp.EnrollRequest{Replace: true})
			if after := e.record(t).Device.Services; !reflect.DeepEqual(after, before) {
				t.Errorf("the services are %v, want %v", after, before)
			}
			e.mustIssue(t)
		})
	}
}

// A caller that was told that an enrollment failed may enroll again, although its device was stored.
func TestEnrollingADeviceThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:SYNCHROFAILED", Match: msFinalize.match})) // and it was not done
	if err := e.enroll(t, limits(), otp.EnrollRequest{}); otp.CauseOf(err) != otp.ErrSynchroFailed {
		t.Errorf("told %v", err)
	}
	e.mustEnroll(t, otp.EnrollRequest{})
	e.mustHaveOneSerial(t)
}
