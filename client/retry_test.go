//go:build go1.25

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/client"
)

// script answers requests from a list, without a socket: time in it is that of the bubble.
type script struct {
	answers []string // "503 2001 7": status, code, Retry-After; "lost": none
	heard   []*http.Request
	bodies  []string
	at      []time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	s.heard, s.bodies, s.at = append(s.heard, r), append(s.bodies, string(body)), append(s.at, time.Now())
	next := s.answers[0]
	s.answers = s.answers[min(1, len(s.answers)-1):]
	var status, code, after int
	if next == "lost" {
		return nil, errors.New("connection reset")
	}
	_, _ = fmt.Sscan(next, &status, &code, &after)
	text := `{"transactionId":"953cfefb-bc72","status":"SUCCEEDED","result":{"otp":"0lyo2o6c"}}`
	header := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"953cfefb-bc72-4e3a-9b52-0c8e1f4d2a77"}}
	if status != http.StatusOK {
		text = fmt.Sprintf(`{"transactionId":"953cfefb-bc72","status":"FAILED","error":{"code":%d,"label":"a label"}}`, code)
	}
	if after > 0 {
		header.Set("Retry-After", fmt.Sprint(after))
	}
	if code == -1 {
		header.Set("Content-Type", "text/html")
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func scripted(t *testing.T, maxWait time.Duration, answers ...string) (*client.Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	c, err := client.New(client.Options{URL: "http://pimsd.example/before", Key: "k", HTTP: &http.Client{Transport: s}, MaxWait: maxWait})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// What is repeated, how long that takes, and what comes of it.
func TestRepeats(t *testing.T) {
	t.Parallel()
	otp := func(ctx context.Context, c *client.Client) error { _, err := c.OTP(ctx, "1234"); return err }
	account := func(ctx context.Context, c *client.Client) error { _, err := c.Account(ctx); return err }
	enroll := func(ctx context.Context, c *client.Client) error {
		return c.Enroll(ctx, client.Enrollment{PIN: "1234", SMSCode: "1"})
	}
	unlock := func(ctx context.Context, c *client.Client) error { return c.Unlock(ctx) }
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		call    func(context.Context, *client.Client) error
		answers string
		maxWait time.Duration
		limit   time.Duration // of the context
		tries   int
		took    time.Duration
		code    client.Code // 0: success; -1: no answer
	}{
		"at once":                          {call: otp, answers: "200", tries: 1},
		"as Retry-After says":              {call: otp, answers: "503 2001 7|200", tries: 2, took: 7 * time.Second},
		"several times":                    {call: otp, answers: "429 2001 2|409 2311 3|502 2202 4|200", tries: 4, took: 9 * time.Second},
		"in flight":                        {call: otp, answers: "lost|409 2005 1|200", tries: 3, took: 1200 * ms},
		"no longer than MaxWait":           {call: otp, answers: "503 2001 20|503 2001 20|200", tries: 2, took: 20 * time.Second, code: 2001},
		"a MaxWait of one's own":           {call: otp, answers: "503 2001 7|200", maxWait: 6 * time.Second, tries: 1, code: 2001},
		"never":                            {call: otp, answers: "503 2001 1|200", maxWait: -1, tries: 1, code: 2001},
		"not beyond the context":           {call: otp, answers: "503 2001 7|200", limit: 5 * time.Second, tries: 1, code: 2001},
		"a refused PIN":                    {call: otp, answers: "403 2308|200", tries: 1, code: 2308},
		"a lost step":                      {call: otp, answers: "502 2316|200", tries: 1, code: 2316},
		"an unknown error":                 {call: otp, answers: "500 2000|200", tries: 1, code: 2000},
		"a lost answer":                    {call: otp, answers: "lost|200", tries: 2, took: 200 * ms},
		"lost answers":                     {call: otp, answers: "lost", tries: 3, took: 600 * ms, code: -1},
		"a lost answer to a GET":           {call: account, answers: "lost|200", tries: 2, took: 200 * ms},
		"a lost answer to an unlock":       {call: unlock, answers: "lost|200", tries: 2, took: 200 * ms},
		"a lost answer to an enrollment":   {call: enroll, answers: "lost|200", tries: 1, code: -1},
		"an enrollment that has to wait":   {call: enroll, answers: "503 2001 1|200", tries: 2, took: time.Second},
		"a web page of something in front": {call: otp, answers: "502 -1|200", tries: 1, code: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tt.maxWait, strings.Split(tt.answers, "|")...)
				ctx, began := t.Context(), time.Now()
				if tt.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.limit)
					defer cancel()
				}
				err := tt.call(ctx, c)
				if took := time.Since(began); len(s.heard) != tt.tries || took != tt.took {
					t.Errorf("%d tries in %v, want %d in %v", len(s.heard), took, tt.tries, tt.took)
				}
				failed, answered := asError(err)
				switch {
				case tt.code > 0 && !errors.Is(err, tt.code), tt.code == -1 && (err == nil || answered):
					t.Errorf("%v", err)
				case strings.Contains(name, "web page"):
					if !answered || failed.Code != 0 || failed.Status != 502 {
						t.Errorf("%v", err)
					}
				case tt.code == 0 && err != nil:
					t.Error(err)
				}
				checkTries(t, s)
			})
		})
	}
}

func asError(err error) (failed *client.Error, ok bool) {
	ok = errors.As(err, &failed)
	return failed, ok
}

// checkTries wants all tries of a call to be the same request; those for an OTP have one key, and others none.
func checkTries(t *testing.T, s *script) {
	t.Helper()
	first := s.heard[0]
	key := first.Header.Get("Idempotency-Key")
	if strings.HasSuffix(first.URL.Path, "/otp") != (len(key) >= 20) {
		t.Errorf("%s has the key %q", first.URL.Path, key)
	}
	for i, r := range s.heard {
		if r.URL.String() != first.URL.String() || s.bodies[i] != s.bodies[0] || r.Header.Get("Idempotency-Key") != key ||
			r.Header.Get("Authorization") != "Bearer k" || !strings.HasPrefix(r.URL.Path, "/before/v1/authentication/") {
			t.Errorf("try %d is another request: %s", i+1, r.URL)
		}
	}
}

func TestEachOTPHasItsOwnKey(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, 0, "200")
	var keys []string
	for range 10 {
		if _, err := c.OTP(t.Context(), "1234"); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.heard[len(s.heard)-1].Header.Get("Idempotency-Key"))
	}
	slices.Sort(keys)
	if len(slices.Compact(keys)) != 10 {
		t.Errorf("the keys are %q", keys)
	}
}

// A canceled call ends at once, in the middle of a wait too.
func TestCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, 0, "503 2001 20")
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(3*time.Second, cancel)
		if _, err := c.OTP(ctx, "1234"); !errors.Is(err, client.FacadeNotInitialized) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// What goes wrong is told without the PIN, the SMS code and the key.
func TestErrorsTellNoSecret(t *testing.T) {
	t.Parallel()
	c, err := client.New(client.Options{URL: "http://127.0.0.1:1", Key: "the-key", MaxWait: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, errOTP := c.OTP(t.Context(), "80517263")
	_, errCheck := c.CheckSMSCode(t.Context(), "80517263")
	for _, err := range []error{errOTP, errCheck, c.Enroll(t.Context(), client.Enrollment{PIN: "80517263", SMSCode: "80517263"})} {
		if err == nil || strings.Contains(err.Error(), "80517263") || strings.Contains(err.Error(), "the-key") {
			t.Errorf("%v", err)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, o := range []client.Options{
		{Key: "k"},
		{URL: "pimsd.example:8080", Key: "k"},
		{URL: "ftp://pimsd.example", Key: "k"},
		{URL: "http://", Key: "k"},
		{URL: "http://x\x7f", Key: "k"},
		{URL: "http://127.0.0.1"},
	} {
		if _, err := client.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
