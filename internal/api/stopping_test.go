package api_test

import (
	"context"
	"testing"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
)

func TestADrainingServiceTakesNoCalls(t *testing.T) {
	b := newBench(t)
	b.Drain()
	for name, tt := range map[string]struct {
		request request
		status  int
		code    int
		label   string
	}{
		"a call":                      {request{body: aBody}, 503, 2001, "Facade not initialized"},
		"a call without a credential": {request{header: "Authorization:"}, 503, 2001, "Facade not initialized"},
		"wrong path":                  {request{path: "/v1"}, 404, 2002, "API not supported"},
		"wrong method":                {request{method: "GET"}, 405, 2002, "API not supported"},
	} {
		got := b.send(t, tt.request)
		got.is(t, tt.status, tt.code, tt.label)
		if retry := got.header.Get("Retry-After"); (tt.status == 503) != (retry == "5") {
			t.Errorf("%s: Retry-After is %q", name, retry)
		}
		if !got.closes {
			t.Errorf("%s: the connection outlives it", name)
		}
	}
	if len(b.domain.asked) > 0 {
		t.Error("the domain was asked")
	}
	if got := b.send(t, request{method: "GET", path: api.RouteContract}); got.status != 200 {
		t.Errorf("the contract is not given: %d", got.status)
	}
}

// A service that is about to go takes calls, each as the last one of its connection.
func TestALeavingServiceKeepsNoConnection(t *testing.T) {
	b := newBench(t)
	if got := b.send(t, request{body: aBody}); got.status != 200 || got.closes {
		t.Errorf("before: %d, and the connection closes: %v", got.status, got.closes)
	}
	b.CloseConnections()
	if got := b.send(t, request{body: aBody}); got.status != 200 || !got.closes {
		t.Errorf("when it leaves: %d, and the connection closes: %v", got.status, got.closes)
	}
}

// A domain that stops first ends the connection as well; a refusal does not.
func TestADomainThatStopsEndsTheConnection(t *testing.T) {
	b := newBench(t)
	for cause, closes := range map[error]bool{otp.ErrStopping: true, otp.ErrPINRefused: false} {
		b.domain.issue = func(context.Context) (otp.Issued, error) { return otp.Issued{}, cause }
		if got := b.send(t, request{body: aBody}); got.closes != closes {
			t.Errorf("%q: the connection closes: %v", cause, got.closes)
		}
	}
}

// Calls that are under way when the draining begins go on.
func TestCallsUnderWayOutliveTheDraining(t *testing.T) {
	b := newBench(t)
	b.domain.issue = func(context.Context) (otp.Issued, error) {
		b.Drain()
		return otp.Issued{}, otp.ErrPINRefused
	}
	got := b.send(t, request{body: aBody})
	got.is(t, 403, 2308, "inwebo: access refused")
	if !got.closes {
		t.Error("the connection outlives the draining")
	}
}
