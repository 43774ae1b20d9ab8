package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

const (
	drillAccounts = 9 // the last of them makes no OTP between backup and restore
	drillCallers  = 64
)

// drill is a service with accounts, and callers that ask it for OTPs all the time.
type drill struct {
	*harness

	url     string
	keys    []string
	answers atomic.Int64
	otps    atomic.Int64
}

// The drill of an operator: a backup beside 64 callers, more OTPs, a kill, a restore, a start. Then every device makes OTPs that
// inWebo verifies, or says 2316, and no right PIN is called a wrong one.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	d := &drill{harness: newHarness(t)}
	knobs := d.simulator.Knobs()
	knobs.DeviceLimit = drillAccounts
	if err := d.simulator.SetKnobs(knobs); err != nil {
		t.Fatal(err)
	}
	d.environ = append(d.environ, "PIMSD_QUOTA_OTPS_PER_DAY=0", "PIMSD_PIN_GUARD_ATTEMPTS=0", "PIMSD_LOAD_CALLER_RATE=0")
	for n := range drillAccounts {
		account := fmt.Sprint("account", n)
		d.run(inwebosim.DefaultCode+"\n"+testPIN+"\n", "enroll", "--account", account, "--no-check")
		d.keys = append(d.keys, strings.TrimSpace(d.run("", "key", "create", "--account", account)))
	}
	backup := filepath.Join(t.TempDir(), "backup.db")

	service := d.serve()
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for n := range drillCallers {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, _ = d.ask(ctx, n%(drillAccounts-1)) // what comes of it is looked at after the restore
			}
		})
	}
	d.untilOTPs(4)
	d.run("", "store", "backup", backup)
	d.untilOTPs(2 * drillAccounts)
	if err := service.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if await(t, "the end of the killed service", ended(service)) == nil {
		t.Error("the service ended well before it was killed")
	}
	stop()
	callers.Wait()
	said := fmt.Sprintf("and %d devices; each device will be in doubt", drillAccounts)
	if out := d.run("", "store", "restore", backup, "--yes"); !strings.Contains(out, said) {
		t.Errorf("the restore says %s", out)
	}

	service = d.serve()
	counts := map[int]int{}
	for n := range drillAccounts {
		for range 2 {
			code := d.afterwards(n)
			counts[code]++
			if code != 0 && n == drillAccounts-1 {
				t.Errorf("a device that made no OTP since the backup gets code %d", code)
			}
			if code != 0 { // the second of two right PINs with old keys would be counted by inWebo, and needs no try here
				break
			}
		}
	}
	t.Logf("%d answers and %d OTPs before the kill; afterwards, by code: %v", d.answers.Load(), d.otps.Load(), counts)
	if err := service.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := await(t, "the end of the service", ended(service)); err != nil {
		t.Error(err)
	}
}

// afterwards asks for an OTP with the right PIN until the answer is no request to wait, and returns its code.
func (d *drill) afterwards(n int) int {
	d.t.Helper()
	for {
		status, answer := d.ask(d.t.Context(), n)
		switch code := answer.Error.Code; {
		case status == http.StatusTooManyRequests, status == http.StatusConflict, status == http.StatusServiceUnavailable:
			time.Sleep(100 * time.Millisecond) // the service has said so
			continue
		case code == 0 && !d.simulator.Verify(answer.Result.OTP):
			d.t.Errorf("account %d: inWebo does not verify the OTP", n)
		case code != 0 && code != 2316:
			d.t.Errorf("account %d: the right PIN is answered with HTTP %d and code %d", n, status, code)
		}
		return answer.Error.Code
	}
}

// untilOTPs waits for that many further OTPs.
func (d *drill) untilOTPs(n int64) {
	d.t.Helper()
	deadline := time.Now().Add(testTimeout)
	for want := d.otps.Load() + n; d.otps.Load() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("only %d OTPs of %d answers within %v", d.otps.Load(), d.answers.Load(), testTimeout)
		}
	}
}

// serve starts the service, and waits until it is ready.
func (d *drill) serve() *exec.Cmd {
	d.t.Helper()
	listen, ops := freePort(d.t), freePort(d.t)
	d.url = "http://" + listen
	cmd := d.command("serve", "--listen", listen, "--ops-listen", ops)
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	health := d.command("health", "--wait", testTimeout.String())
	health.Env = append(health.Env, "PIMSD_OPS_LISTEN="+ops)
	if out, err := health.CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	return cmd
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "127.0.0.1:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// drillAnswer is what the main call answers (docs/contract.md §1).
type drillAnswer struct {
	Result struct{ OTP string }
	Error  struct{ Code int }
}

// ask makes the main call with the right PIN; status is 0 when there is no answer.
func (d *drill) ask(ctx context.Context, n int) (status int, answer drillAnswer) {
	body := bytes.NewReader([]byte(`{"action":"withPIN","pinCode":"` + testPIN + `"}`))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/authentication/otp", body)
	if err != nil {
		return 0, answer
	}
	request.Header.Set("Authorization", "Bearer "+d.keys[n])
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, answer
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, answer
	}
	d.answers.Add(1)
	if answer.Result.OTP != "" {
		d.otps.Add(1)
	}
	return response.StatusCode, answer
}
