package pimsdtest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The Python drop-in returns an OTP as a device would, also after it was saved and loaded, keeps its secrets out of what is saved,
// and says what a refusal means.
func TestPythonDropIn(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing")
	}
	a := enrolled(t)
	ask := func(pin, script string) string {
		cmd := exec.CommandContext(t.Context(), python, "-c", "import os, pickle, pimsd_otp\n"+
			"saved = pickle.dumps(pimsd_otp.Otp(os.environ['OTP_URL'], 'alice'))\nassert os.environ['OTP_KEY'].encode() not in saved\n"+script)
		cmd.Env = append(os.Environ(), "PYTHONPATH=../../../examples/python", "PYTHONDONTWRITEBYTECODE=1", "OTP_URL="+a.Daemon.URL(""),
			"OTP_KEY="+a.Key, "OTP_PIN="+pin, "no_proxy=127.0.0.1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := ask(aPIN, "print(pickle.loads(saved).get_otp_code())"); !a.Verify(got) {
		t.Errorf("inWebo does not accept %q", got)
	}
	const refused = "try:\n  pickle.loads(saved).get_otp_code()\nexcept pimsd_otp.OtpError as e: print(e.reason, e.advice)"
	if got := ask(wrongPIN, refused); got != "pin_refused ask_pin" {
		t.Errorf("a wrong PIN is told as %q", got)
	}
}
