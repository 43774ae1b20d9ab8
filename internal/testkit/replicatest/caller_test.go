package replicatest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
)

// callers is how many call at once.
const callers = 64

// call is one of the main call. What it leaves out is that of a good one.
type call struct {
	key     string // an API key; the world's
	account string
	pin     string // the right one
	repeat  string // the Idempotency-Key, if any
}

// answer is what a caller was told.
type answer struct {
	otp      string // empty when there is none
	code     int    // 0 when there is no error
	status   int
	after    time.Duration
	reason   errcodes.Reason // empty when there is no error
	body     string
	replayed bool
	err      error // instead of an answer
}

func (a answer) String() string {
	switch {
	case a.err != nil:
		return a.err.Error()
	case a.otp != "":
		return "an OTP"
	default:
		return fmt.Sprintf("code %d", a.code)
	}
}

// ask asks a process for an OTP, once.
func (w *harness) ask(p *process, account string) answer { return w.make(p, call{account: account}) }

// request is the call to a process.
func (w *harness) request(p *process, c call) (*http.Request, error) {
	body := strings.NewReader(`{"action":"withPIN","pinCode":"` + cmp.Or(c.pin, pin) + `"}`)
	ctx := context.WithoutCancel(w.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.api+"/v1/authentication/otp", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+cmp.Or(c.key, w.key))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Pims-Account", c.account)
	if c.repeat != "" {
		req.Header.Set("Idempotency-Key", c.repeat)
	}
	return req, nil
}

// make makes the call, once.
func (w *harness) make(p *process, c call) answer {
	req, err := w.request(p, c)
	if err != nil {
		return answer{err: err}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var envelope struct {
		Result struct{ OTP string }
		Error  struct{ Code int }
	}
	if err = errors.Join(err, json.Unmarshal(text, &envelope)); err != nil {
		return answer{err: err}
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // where there is none, there is nothing to wait for
	return answer{
		otp: envelope.Result.OTP, code: envelope.Error.Code, status: resp.StatusCode, after: time.Duration(seconds) * time.Second,
		reason: errcodes.Reason(resp.Header.Get("X-Pims-Reason")), body: string(text), replayed: resp.Header.Get("Idempotent-Replayed") == "true",
	}
}

// askPatiently asks again for as long as the device is busy, when it is told to.
func (w *harness) askPatiently(p *process, account string) answer {
	for {
		a := w.ask(p, account)
		if a.code != 2311 || a.after == 0 {
			return a
		}
		time.Sleep(a.after)
	}
}

// verifies asks inWebo whether the OTP is good for the account. It is good once.
func (w *harness) verifies(account string, a answer) bool {
	return a.otp != "" && w.inwebo.Authenticate(account, a.otp).Err == "OK"
}

// wantOTP asks, and wants an OTP that verifies.
func (w *harness) wantOTP(p *process, account string) {
	w.t.Helper()
	if a := w.askPatiently(p, account); !w.verifies(account, a) {
		w.t.Errorf("%s: %v, want an OTP that verifies", account, a)
	}
}

// together lets all callers work at once, until each of n items is done.
func together(n int, do func(caller, item int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for caller := range callers {
		all.Go(func() {
			for item := int(next.Add(1)) - 1; item < n; item = int(next.Add(1)) - 1 {
				do(caller, item)
			}
		})
	}
	all.Wait()
}
