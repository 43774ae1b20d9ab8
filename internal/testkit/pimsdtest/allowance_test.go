package pimsdtest_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// An OTP comes with what is left of the account's quota, and when there is one more. The answer that refuses one says how long to
// wait. Without a quota there is nothing to tell.
func TestAllowance(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Config.Quota.OTPsPerDay = 2 })
	for _, left := range []string{"1", "0"} {
		got := a.OTP(aPIN)
		policy, rest := got.Header.Get("RateLimit-Policy"), got.Header.Get("RateLimit")
		if policy != `"otps";q=2;w=86400` || !regexp.MustCompile(`^"otps";r=`+left+`;t=864\d\d$`).MatchString(rest) {
			t.Errorf("the policy is %q, and what is left %q, want %s", policy, rest, left)
		}
	}
	if got := a.OTP(aPIN); got.Status != http.StatusTooManyRequests || got.Header.Get("X-Pims-Reason") != "quota_used_up" ||
		got.Header.Get("Retry-After") == "" || got.Header.Get("RateLimit") != "" {
		t.Errorf("%d, %v", got.Status, got.Header)
	}
	unlimited := enrolled(t, func(s *pimsdtest.Setup) { s.Config.Quota.OTPsPerDay = 0 })
	if got := unlimited.OTP(aPIN); got.OTP == "" || got.Header.Get("RateLimit") != "" {
		t.Errorf("without a quota: %v", got.Header)
	}
}

// An answer that is repeated costs nothing, and comes with what is left when it is repeated. A refusal that is repeated comes with nothing.
func TestAllowanceOfARepeat(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Config.Quota.OTPsPerDay = 4 })
	refused := a.Repeatable("refused", wrongPIN)
	first := a.Repeatable("one", aPIN)
	wantOTP(t, a)
	for range 2 {
		again := a.Repeatable("one", aPIN)
		policy, rest := again.Header.Get("RateLimit-Policy"), again.Header.Get("RateLimit")
		if again.Body != first.Body || policy != `"otps";q=4;w=86400` || !regexp.MustCompile(`^"otps";r=2;t=864\d\d$`).MatchString(rest) {
			t.Errorf("the policy is %q, and what is left %q; the first answer had %q", policy, rest, first.Header.Get("RateLimit"))
		}
	}
	if again := a.Repeatable("refused", wrongPIN); again.Body != refused.Body || again.Header.Get("RateLimit") != "" {
		t.Errorf("a refusal that is repeated: %s %v", again.Body, again.Header)
	}
}
