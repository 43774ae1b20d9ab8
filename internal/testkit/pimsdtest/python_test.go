package pimsdtest_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// dropIn is the Python drop-in for the device of an account.
type dropIn struct {
	account *pimsdtest.Account
	address string
}

// run makes a device that calls the address, saves and loads it, and returns what the script prints that uses it as device.
func (p dropIn) run(t *testing.T, pin, name, script string) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", "import os, pickle, pimsd_otp\n"+
		"saved = pickle.dumps(pimsd_otp.Otp(os.environ['OTP_URL'], *"+name+"))\nassert os.environ['OTP_KEY'].encode() not in saved\n"+
		"device = pickle.loads(saved)\n"+script)
	cmd.Env = append(os.Environ(), "PYTHONPATH=../../../examples/python", "PYTHONDONTWRITEBYTECODE=1", "OTP_URL="+p.address,
		"OTP_KEY="+p.account.Key, "OTP_PIN="+pin, "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// The Python drop-in returns an OTP as a device would, also after it was saved and loaded, keeps its secrets out of what is saved,
// and says what a refusal means. The account's key names the account.
func TestPythonDropIn(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	p := dropIn{account: a, address: a.Daemon.URL("")}
	for _, name := range []string{"['alice']", "[]", "[None]"} {
		if got := p.run(t, aPIN, name, "print(device.get_otp_code())"); !a.Verify(got) {
			t.Errorf("for the account %s, inWebo does not accept %q", name, got)
		}
	}
	const refused = "try:\n  device.get_otp_code()\nexcept pimsd_otp.OtpError as e: print(e.reason, e.advice)"
	if got := p.run(t, wrongPIN, "[]", refused); got != "pin_refused ask_pin" {
		t.Errorf("a wrong PIN is told as %q", got)
	}
	p.address = "http://127.0.0.1:1"
	if got := p.run(t, aPIN, "[]", refused); got != "unreachable retry" {
		t.Errorf("a pimsd that is not there is told as %q", got)
	}
}

// An answer that is cut off on its way costs no second OTP: the drop-in repeats the call, and gets the same one.
func TestPythonDropInRepeatsALostAnswer(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	target, err := url.Parse(a.Daemon.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var calls atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) > 1 {
			proxy.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		proxy.ServeHTTP(whole, r)
		w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
		_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	}))
	t.Cleanup(front.Close)
	got := dropIn{account: a, address: front.URL}.run(t, aPIN, "[]", "print(device.get_otp_code())")
	if !a.Verify(got) || a.Expected().Issued != 1 || calls.Load() != 2 {
		t.Errorf("%d calls gave %q, and inWebo has issued %d OTPs", calls.Load(), got, a.Expected().Issued)
	}
}
