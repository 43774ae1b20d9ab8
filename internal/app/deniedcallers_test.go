package app

import (
	"context"
	"errors"
	"net/http"
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

// A call that ends before inWebo is asked has an audit line; one that the domain has written lines of has no other.
func TestAuditLinesOfCallsThatEndEarly(t *testing.T) {
	t.Parallel()
	store := &audited{}
	r := newDeniedCallers(store, zap.NewNop(), telemetry.NewMetrics("test", nil))
	event := func(account string, err error) api.Event {
		return api.Event{Transaction: "t", Route: api.RouteOTP, Caller: "key:1", Account: account, Code: errcodes.AccessRefused, Err: err}
	}
	var want []string
	for i, cause := range endsBeforeInwebo() {
		r.observe(event(string(rune('a'+i)), &otp.RetryAfterError{Cause: cause, For: time.Second}))
		want = append(want, string(otp.ReasonOf(cause)))
	}
	r.observe(api.Event{Route: api.RouteOTP, Caller: "key:1", Account: "a", Code: errcodes.OK, Repeated: true})
	want = append(want, outcomeReplayed)
	for _, err := range []error{nil, otp.ErrPINRefused, otp.ErrNotStored, otp.ErrBusy, errors.New("another")} {
		r.observe(event("a", err))
	}
	r.write(r.waiting())
	if len(store.lines) != len(want) {
		t.Fatalf("there are %d lines, want %d: %+v", len(store.lines), len(want), store.lines)
	}
	for i, line := range store.lines {
		if line.Outcome != want[i] || line.Action != "otp" || line.Caller != "key:1" || line.Account == "" {
			t.Errorf("line %d is %+v, want the outcome %q", i, line, want[i])
		}
	}
}

// A known caller that repeats a refused call has one line in a minute, and unknown callers cannot use up the lines of others.
func TestAuditLinesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &audited{}
		r := newDeniedCallers(store, zap.NewNop(), telemetry.NewMetrics("test", nil))
		stranger := api.Event{Route: api.RouteOTP, Code: errcodes.AuthenticationRequired, Status: http.StatusUnauthorized}
		for range 10 * deniedBurst {
			r.observe(stranger)
		}
		held := api.Event{Route: api.RouteOTP, Caller: "key:1", Account: "a", Code: errcodes.AccessRefused, Err: otp.ErrPINHeldBack}
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
		if counted[outcomeUnknownCaller] != deniedBurst || counted[string(otp.ReasonOf(otp.ErrPINHeldBack))] != 2 {
			t.Errorf("the lines are %v", counted)
		}
	})
}
