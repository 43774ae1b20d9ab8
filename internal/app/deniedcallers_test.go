package app

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// audited is a store that takes lines alone.
type audited struct {
	Store
	lines []otp.AuditEntry
}

func (a *audited) AppendAudit(_ context.Context, lines []otp.AuditEntry) error {
	a.lines = append(a.lines, lines...)
	return nil
}

// Every refusal of a known caller has one line, which names the account: the domain's, or else one of the service.
func TestEveryRefusalHasOneAuditLine(t *testing.T) {
	t.Parallel()
	for _, entry := range errcodes.All() {
		for _, cause := range entry.Causes {
			expectOneLine(t, entry, cause)
		}
	}
}

func expectOneLine(t *testing.T, entry errcodes.Entry, cause errcodes.Cause) {
	t.Helper()
	store := &audited{}
	r := newDeniedCallers(store, zap.NewNop(), telemetry.NewMetrics("test", nil))
	e := api.Event{
		Transaction: "t", Route: api.RouteOTP, Caller: "key:1", Account: "a", Code: entry.Code, Reason: cause.Reason, Status: cause.HTTP,
		Err: errors.New("refused"),
	}
	r.observe(e)
	e.Account, e.Err = "b", &otp.Attempted{Err: e.Err}
	if cause.Reason != errcodes.ReasonUnauthenticated { // which no known caller is told
		r.observe(e)
	}
	r.write(r.waiting())
	if len(store.lines) != 1 || store.lines[0].Outcome != string(cause.Reason) || store.lines[0].Account != "a" {
		t.Errorf("%s: the lines are %+v", cause.Reason, store.lines)
	}
}

// A replay has a line. A call that succeeds, and one of an unknown caller that is refused for another reason, have none here.
func TestAuditLineOfReplay(t *testing.T) {
	t.Parallel()
	store := &audited{}
	r := newDeniedCallers(store, zap.NewNop(), telemetry.NewMetrics("test", nil))
	r.observe(api.Event{Route: api.RouteOTP, Caller: "key:1", Account: "a", Code: errcodes.OK})
	r.observe(api.Event{Route: api.RouteNone, Code: 2002, Reason: errcodes.ReasonNoSuchPath})
	r.observe(api.Event{Route: api.RouteOTP, Caller: "key:1", Account: "a", Code: errcodes.OK, Repeated: true})
	r.write(r.waiting())
	if len(store.lines) != 1 || store.lines[0].Outcome != outcomeReplayed || store.lines[0].Caller != "key:1" {
		t.Errorf("the lines are %+v", store.lines)
	}
}

// A known caller that repeats a refused call has one line in a minute. Neither unknown callers nor malformed requests use up the lines
// of others.
func TestAuditLinesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &audited{}
		r := newDeniedCallers(store, zap.NewNop(), telemetry.NewMetrics("test", nil))
		stranger := api.Event{Route: api.RouteOTP, Code: 2301, Reason: errcodes.ReasonUnauthenticated}
		malformed := api.Event{Route: api.RouteOTP, Caller: "key:2", Code: errcodes.InvalidParameter, Reason: errcodes.ReasonBodyInvalid}
		for i := range 10 * deniedBurst {
			r.observe(stranger)
			malformed.Account = strconv.Itoa(i)
			r.observe(malformed)
		}
		held := api.Event{
			Route: api.RouteOTP, Caller: "key:1", Account: "a", Code: 2308, Reason: errcodes.ReasonPINHeldBack,
			Err: otp.ErrPINHeldBack,
		}
		for range 2 {
			for range 50 {
				r.observe(held)
			}
			time.Sleep(repeatWindow)
		}
		r.write(r.waiting())
		counted := map[string]int{}
		for _, line := range store.lines {
			counted[line.Outcome]++
		}
		if counted[outcomeUnknownCaller] != deniedBurst || counted[string(errcodes.ReasonBodyInvalid)] != deniedBurst || counted[string(otp.ReasonOf(otp.ErrPINHeldBack))] != 2 {
			t.Errorf("the lines are %v", counted)
		}
	})
}
