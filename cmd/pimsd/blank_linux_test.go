package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// importDevice stores the device of another client under a name, which may be one that commands refuse by now.
func importDevice(t *testing.T, environ []string, account otp.Account) {
	t.Helper()
	content, err := os.ReadFile("../../internal/devicefile/testdata/devices/psa_car_controller-otp.bin")
	if err != nil {
		t.Fatal(err)
	}
	device, err := devicefile.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	found, err := device.With(secret.Text{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Input{Environ: environ, ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	core, err := app.OpenCore(t.Context(), c, false, app.Observers{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := core.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := core.OTP.Import(t.Context(), otp.Request{Account: account, Caller: caller}, found); err != nil {
		t.Fatal(err)
	}
}

// Names with a blank at an end were accepted once. No account gets one any more, and those that have one can be reached.
func TestAccountWithBlankAtItsEnds(t *testing.T) {
	t.Parallel()
	environ := withStore(t)
	importDevice(t, environ, " old ")
	for _, tc := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"account", "list"}, statusDone, "\n\" old \"  "},
		{[]string{"account", "show", "--account", " old "}, statusDone, "services"},
		{[]string{"account", "unlock", "--account", " old "}, statusDone, "forwarded again"},
		{[]string{"account", "doubt", "--account", " old "}, statusDone, "1 in doubt"},
		{[]string{"account", "reread", "--account", " old "}, statusDone, "no such answers are kept"},
		{[]string{"account", "show", "old"}, statusFailed, "nothing is stored"},
		{[]string{"account", "forget", "--account", " old ", "--yes"}, statusDone, "removed from the store"},
		{[]string{"enroll", "--account", " new", "--sms-code", "123456"}, statusUsage, "without a blank at either end"},
		{[]string{"import", "--account", "new ", "otp.bin"}, statusUsage, "without a blank at either end"},
		{[]string{"key", "create", "--account", "new "}, statusUsage, "without a blank at either end"},
	} {
		cmd := exec.CommandContext(t.Context(), "pimsd", tc.args...)
		cmd.Env = environ
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != tc.status || !strings.Contains(string(out), tc.says) {
			t.Errorf("%q: status %d: %s", tc.args, cmd.ProcessState.ExitCode(), out)
		}
	}
}
