// The suite that looks at pimsd from outside: a whole daemon, real sockets, and an inWebo that judges every OTP.
package pimsdtest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

func TestMain(m *testing.M) {
	testkit.UseMemory()
	goleak.VerifyTestMain(m)
}

const aPIN = "1234"

// anything matches every request that inWebo has heard.
var anything inwebosim.Match

// enrolled is an account on a daemon of its own.
func enrolled(t *testing.T, change ...func(*pimsdtest.Setup)) *pimsdtest.Account {
	t.Helper()
	return pimsdtest.Start(t, change...).Enroll("alice", aPIN)
}

// wantOTP asks with the right PIN, and wants an OTP that inWebo accepts once.
func wantOTP(t *testing.T, a *pimsdtest.Account) {
	t.Helper()
	wantGood(t, a, a.OTP(a.PIN))
}

// wantGood wants of an answer the envelope of success, and an OTP that inWebo accepts once.
func wantGood(t *testing.T, a *pimsdtest.Account, got pimsdtest.Answer) {
	t.Helper()
	want := fmt.Sprintf(`{"transactionId":%q,"status":"SUCCEEDED","result":{"otp":%q}}`, got.Transaction, got.OTP)
	if got.Status != 200 || got.Body != want || got.OTP == "" {
		t.Fatalf("got %d %s, want an OTP", got.Status, got.Body)
	}
	wantHeader(t, got, false)
	if !a.Verify(got.OTP) {
		t.Fatalf("inWebo does not accept the OTP %s", got.OTP)
	}
	if a.Verify(got.OTP) {
		t.Fatalf("inWebo accepts the OTP %s twice", got.OTP)
	}
}

// wantFailure wants of an answer the whole envelope of a code, its status and its header.
func wantFailure(t *testing.T, got pimsdtest.Answer, status, code int, label string, retry bool) {
	t.Helper()
	want := fmt.Sprintf(`{"transactionId":%q,"status":"FAILED","error":{"code":%d,"label":%q}}`, got.Transaction, code, label)
	if got.Status != status || got.Body != want {
		t.Errorf("got  %d %s\nwant %d %s", got.Status, got.Body, status, want)
	}
	wantHeader(t, got, retry)
}

var (
	uuid        = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	wholeSecond = regexp.MustCompile(`^[1-9][0-9]*$`)
)

func wantHeader(t *testing.T, got pimsdtest.Answer, retry bool) {
	t.Helper()
	id := got.Header.Get("X-Request-Id")
	if !uuid.MatchString(id) || got.Transaction != id[:min(13, len(id))] {
		t.Errorf("transactionId %q does not begin X-Request-Id %q", got.Transaction, id)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"} {
		if values := strings.Join(got.Header.Values(name), "|"); values != want {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
	if after := got.Header.Values("Retry-After"); retry && (len(after) != 1 || !wholeSecond.MatchString(after[0])) || !retry && len(after) != 0 {
		t.Errorf("Retry-After is %q, wanted: %v", after, retry)
	}
}
