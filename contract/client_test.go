package contract_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/client"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

func of(t *testing.T, a *pimsdtest.Account) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{URL: a.Daemon.URL(""), Key: a.Key, MaxWait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The whole life of an account, through the client, against a whole daemon.
func TestAgainstADaemon(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.Guard.Attempts, s.Config.Guard.Pause, s.Config.Quota.OTPsPerDay = 2, time.Second, 6
	})
	a := fresh(t, d, "alice", "246810")
	c, ctx := of(t, a), t.Context()

	_, err := c.OTP(ctx, a.PIN)
	wantCode(t, err, client.UnknownDevice)
	if status, err := c.CheckSMSCode(ctx, a.SMSCode); err != nil || status != client.NotEnrolled {
		t.Errorf("%v, %v", status, err)
	}
	wantCode(t, c.Enroll(ctx, client.Enrollment{PIN: a.PIN, SMSCode: "nobodys"}), client.InvalidSMSCode)
	if err := c.Enroll(ctx, client.Enrollment{PIN: a.PIN, SMSCode: a.SMSCode}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, c.Enroll(ctx, client.Enrollment{PIN: a.PIN, SMSCode: a.SMSCode}), client.EnrollmentExists)
	wantCode(t, c.Enroll(ctx, client.Enrollment{PIN: a.PIN, SMSCode: a.SMSCode, Replace: true}), client.InvalidSMSCode) // it is spent

	_, err = c.OTP(ctx, "4321")
	wantCode(t, err, client.AccessRefused)
	_, err = c.OTP(ctx, "12")
	wantCode(t, err, client.InvalidParameter)
	given, err := c.OTP(ctx, a.PIN) // waits until the guard forwards a PIN again
	if err != nil || !a.Verify(given) {
		t.Fatalf("%v", err)
	}
	state, err := c.Account(ctx)
	if err != nil || !state.DeviceActivated || state.Blocked != client.NotBlocked || state.State != "idle" || *state.OTPsLeft != 5 ||
		state.SMSActivations != 3 || state.EnrolledAt.IsZero() || state.LastOTPAt.IsZero() || state.InDoubt {
		t.Errorf("%+v, %v", state, err)
	}
	if err := c.Unlock(ctx); err != nil {
		t.Error(err)
	}
}

// A refused PIN, one that is held back and one that is locked have the same code, and the client is told three different things.
func TestThreeMeaningsOfACode(t *testing.T) {
	t.Parallel()
	a := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.Guard.Attempts, s.Config.Guard.Pause = 2, time.Second
	}).Enroll("alice", "1234")
	patient := of(t, a)
	hasty, err := client.New(client.Options{URL: a.Daemon.URL(""), Key: a.Key, MaxWait: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		by     *client.Client
		reason client.Reason
		advice client.Advice
	}{
		{patient, client.ReasonPINRefused, client.AdviceAskPIN},
		{hasty, client.ReasonPINHeldBack, client.AdviceRetry},
		{patient, client.ReasonPINRefused, client.AdviceAskPIN}, // it waits until the guard forwards a PIN again
		{patient, client.ReasonPINLocked, client.AdviceOperator},
	} {
		_, err := step.by.OTP(t.Context(), "4321")
		wantCode(t, err, client.AccessRefused)
		if !errors.Is(err, step.reason) || !errors.Is(err, step.advice) {
			t.Errorf("call %d: %+v, want %s and %s", i+1, err, step.reason, step.advice)
		}
	}
}

// wantCode wants a typed error of that code, which says what an operator looks for and no secret.
func wantCode(t *testing.T, err error, code client.Code) {
	t.Helper()
	failed, ok := errors.AsType[*client.Error](err)
	if !ok || !errors.Is(err, code) || errors.Is(err, code+1) || failed.Code != code || failed.Status < 400 ||
		!strings.HasPrefix(failed.RequestID, failed.TransactionID) || !strings.Contains(err.Error(), failed.TransactionID) {
		t.Fatalf("%+v, want code %d", err, code)
	}
}

// A backend's key names the account of each call.
func TestForABackend(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	d.Enroll("fleet-1", "1234")
	second := d.Enroll("fleet-2", "567890")
	c, err := client.New(client.Options{URL: d.URL("/"), Key: d.BackendKey("fleet-"), Account: "fleet-1"})
	if err != nil {
		t.Fatal(err)
	}
	if given, err := c.For("fleet-2").OTP(t.Context(), second.PIN); err != nil || !second.Verify(given) {
		t.Error(err)
	}
	if state, err := c.Account(t.Context()); err != nil || !state.DeviceActivated {
		t.Errorf("%+v, %v", state, err)
	}
	_, err = c.For("alice").Account(t.Context())
	wantCode(t, err, client.AuthenticationRequired)
	_, err = c.For("").Account(t.Context())
	wantCode(t, err, client.MissingParameter)
}

// The client knows every reason of the catalogue, by the name that it has there.
func TestEveryReasonIsKnown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../client/reasons.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^\tReason\w+ +Reason = "(\w+)"$`).FindAllStringSubmatch(string(text), -1) {
		known[found[1]] = true
	}
	for _, entry := range errcodes.All() {
		for _, cause := range entry.Causes {
			if !known[string(cause.Reason)] {
				t.Errorf("the client does not know %s", cause.Reason)
			}
		}
	}
}

// The client knows every code of the catalogue.
func TestEveryCodeIsKnown(t *testing.T) {
	t.Parallel()
	known := []client.Code{
		client.UnknownError, client.FacadeNotInitialized, client.APINotSupported, client.DuplicateCommand, client.CoreNotConfigured,
		client.MissingParameter, client.InvalidParameter, client.NoInternet, client.AuthenticationRequired, client.InvalidSMSCode,
		client.AccessRefused, client.VersionError, client.AccountBlocked, client.StateNotCorrect, client.UnknownDevice,
		client.ActivationRequired, client.NoService, client.PasswordReused, client.PostSyncFailed, client.ForbiddenOperation,
		client.QuotaReached, client.EnrollmentExists,
	}
	all := errcodes.All()
	if len(all) != len(known) {
		t.Fatalf("the catalogue has %d codes, the client %d", len(all), len(known))
	}
	for i, entry := range all {
		if int(known[i]) != int(entry.Code) {
			t.Errorf("the client has %d where the catalogue has %v", known[i], entry.Code)
		}
	}
}

// The first answer of a whole daemon gets lost on its way; the repeat carries the same key, and gets the OTP that was lost:
// inWebo has given one.
func TestALostAnswerOfADaemon(t *testing.T) {
	t.Parallel()
	a := pimsdtest.Start(t).Enroll("alice", "1234")
	target, err := url.Parse(a.Daemon.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var mu sync.Mutex
	var keys []string
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		mu.Unlock()
		loses := false
		once.Do(func() { loses = true })
		if !loses {
			proxy.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(front.Close)
	c, err := client.New(client.Options{URL: front.URL, Key: a.Key})
	if err != nil {
		t.Fatal(err)
	}
	given, err := c.OTP(t.Context(), a.PIN)
	if err != nil || !a.Verify(given) {
		t.Errorf("%v", err)
	}
	if given := a.Expected().Issued; given != 1 {
		t.Errorf("inWebo has given %d OTPs", given)
	}
	if len(keys) < 2 || len(slices.Compact(keys)) != 1 {
		t.Errorf("the keys are %q", keys)
	}
}
