package otp_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// versioned is a store whose keys have a version.
type versioned struct {
	otp.Store

	mu      sync.Mutex
	version otp.KeysVersion
}

func (s *versioned) set(v otp.KeysVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = v
}

func (s *versioned) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	s.mu.Lock()
	version := s.version
	s.mu.Unlock()
	return s.Store.Update(ctx, account, key, func(found otp.Snapshot) otp.Decision {
		found.KeysVersion = version
		return decide(found)
	})
}

// A caller that was known in another version of the keys gets neither an OTP nor what is stored for a repeat; nothing is counted, nothing is
// in the audit log, and inWebo hears nothing.
func TestKeysVersion(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	store := &versioned{Store: d.memory, version: 7}
	l := limits()
	l.ResponseLifetime = time.Minute
	service := otp.New(store, newBridge(sim), l, nil)
	issue := func(key string, version otp.KeysVersion) (otp.Issued, error) {
		request := d.repeatable(key, "x")
		request.KeysVersion = version
		return service.IssueOTP(t.Context(), request, rightPIN)
	}
	for range 2 { // the second is a repeat
		if _, err := issue("a", 7); err != nil {
			t.Errorf("in the version of the store: %v", err)
		}
	}
	before, heard, lines := d.row(t), d.truth(t).Requests, len(d.lines(t))
	for _, key := range []string{"a", "b"} {
		if issued, err := issue(key, 6); !errors.Is(err, otp.ErrKeysChanged) || !issued.StoredResponse.IsEmpty() {
			t.Errorf("in another version: %v, %v", issued, err)
		}
	}
	if d.row(t).Revision != before.Revision || d.truth(t).Requests != heard || len(d.lines(t)) != lines {
		t.Error("something was done")
	}
	if _, err := issue("b", 0); err != nil {
		t.Errorf("in no version: %v", err)
	}
}

// A lease that may have been stored is settled, whatever happens to the keys meanwhile.
func TestKeysChangeWhileALeaseIsRecovered(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		store := &versioned{version: 7}
		store.Store = &storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
			if c.N != hold.nth {
				return storetest.Fault{}
			}
			store.set(8)
			return storetest.Fault{Err: errors.New("the connection broke"), Applied: true}
		}}
		service := otp.New(store, newBridge(sim), limits(), nil)
		request := d.request()
		request.KeysVersion = 7
		if _, err := service.IssueOTP(t.Context(), request, rightPIN); otp.CauseOf(err) != otp.ErrStore {
			t.Errorf("the lease may be stored: %v", err)
		}
		drained(t, service)
		d.mustRemain(t, remains{}, false)
		mustHaveLines(t, d, "attempt", "outcome: "+string(otp.ReasonOf(otp.ErrStore)))
	})
}
