package contract_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// examples returns the code of docs/clients.md in a language, as it is written there.
func examples(t *testing.T, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("there is no example in %s", language)
	}
	return blocks
}

// run runs a command with what the examples expect of their environment, and returns what it prints.
func run(t *testing.T, a *pimsdtest.Account, name string, args ...string) string {
	t.Helper()
	return runAt(t, a, a.Daemon.URL(""), name, args...)
}

// runAt is run against something before the account's daemon.
func runAt(t *testing.T, a *pimsdtest.Account, address, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "URL="+address, "KEY="+a.Key, "PIN="+a.PIN, "CODE="+a.SMSCode)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestExamplesOfCurl(t *testing.T) {
	t.Parallel()
	a := fresh(t, pimsdtest.Start(t), "alice", "246810")
	for i, block := range examples(t, "sh") {
		said := run(t, a, "bash", "-euo", "pipefail", "-c", block)
		var answer struct {
			Status string
			Result map[string]any
		}
		if err := json.Unmarshal([]byte(said), &answer); err != nil || answer.Status != "SUCCEEDED" {
			t.Fatalf("example %d: %s", i+1, said)
		}
		switch i {
		case 0:
			if answer.Result["status"] != "NotEnrolled" {
				t.Errorf("the check of a code: %s", said)
			}
		case 2:
			if given, ok := answer.Result["otp"].(string); !ok || !a.Verify(given) {
				t.Errorf("the OTP is not accepted: %s", said)
			}
		case 3:
			if answer.Result["isDeviceActivated"] != true {
				t.Errorf("the account: %s", said)
			}
		}
	}
}

func TestExampleOfPython(t *testing.T) {
	t.Parallel()
	a := fresh(t, pimsdtest.Start(t), "alice", "246810")
	const uses = "\ntry:\n    print(otp("
	for _, block := range examples(t, "python") {
		enrolling := strings.Replace(block, uses, "\nenroll(os.environ['PIN'], os.environ['CODE'])"+uses, 1)
		for _, program := range []string{enrolling, block} {
			if given := run(t, a, "python3", "-c", program); !a.Verify(given) {
				t.Errorf("the OTP is not accepted: %s", given)
			}
		}
	}
}

// The examples that ask for an OTP repeat the request when they are told to wait, and nothing else of theirs is printed.
func TestExamplesWait(t *testing.T) {
	t.Parallel()
	expectWaiting(t, otpExamples(t))
}

// expectWaiting runs commands that ask for an OTP and are told to wait, by their language.
func expectWaiting(t *testing.T, commands map[string][]string) {
	t.Helper()
	a := pimsdtest.Start(t).Enroll("alice", "1234")
	for language, command := range commands {
		front := busyOnce(t, a)
		said := runAt(t, a, front.URL, command[0], command[1:]...)
		var answer struct{ Result struct{ OTP string } }
		if json.Unmarshal([]byte(said), &answer) == nil {
			said = answer.Result.OTP
		}
		if !a.Verify(said) {
			t.Errorf("%s: it prints %s", language, said)
		}
	}
}

// busyOnce is the account's daemon behind a front that has no place for the first call, and wants all to have one key.
func busyOnce(t *testing.T, a *pimsdtest.Account) *httptest.Server {
	t.Helper()
	target, err := url.Parse(a.Daemon.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	first := make(chan string, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		select {
		case first <- key:
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"transactionId":"953cfefb-bc72","status":"FAILED","error":{"code":2001,"label":"Facade not initialized"}}`)
		default:
			if before := <-first; key == "" || key != before {
				t.Errorf("the repeat has the key %q, the first had %q", key, before)
			}
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return front
}

func TestExampleOfGo(t *testing.T) {
	t.Parallel()
	a := pimsdtest.Start(t).Enroll("alice", "1234")
	if given := run(t, a, goExample(t)); !a.Verify(given) {
		t.Errorf("the OTP is not accepted: %s", given)
	}
}

// goExample builds the example in Go, and returns the program.
func goExample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(examples(t, "go")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "example")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// otpExamples returns the command of each example that asks for an OTP and can run here, by its language.
func otpExamples(t *testing.T) map[string][]string {
	t.Helper()
	commands := map[string][]string{"go": {goExample(t)}}
	for language, shell := range map[string][]string{"sh": {"bash", "-euo", "pipefail", "-c"}, "python": {"python3", "-c"}} {
		for _, block := range examples(t, language) {
			if strings.Contains(block, "withPIN") {
				commands[language] = append(shell, block)
			}
		}
	}
	return commands
}

// whatNow returns the last line that a command prints: what a failure means. It must print no OTP.
func whatNow(t *testing.T, a *pimsdtest.Account, address string, command []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "URL="+address, "KEY="+a.Key, "PIN="+a.PIN)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// A wrong PIN, one that is held back and one that is locked have one code, and each example does three different things.
func TestExamplesTellThreeMeaningsApart(t *testing.T) {
	t.Parallel()
	expectThreeMeanings(t, otpExamples(t))
}

// expectThreeMeanings runs commands whose PIN is wrong, by their language.
func expectThreeMeanings(t *testing.T, commands map[string][]string) {
	t.Helper()
	guarded := func(attempts int) *pimsdtest.Daemon {
		return pimsdtest.Start(t, func(s *pimsdtest.Setup) {
			s.Config.Guard.Attempts, s.Config.Guard.Pause = attempts, time.Minute // longer than an example waits
		})
	}
	patient, strict := guarded(2), guarded(1)
	for language, command := range commands {
		for _, step := range []struct {
			d    *pimsdtest.Daemon
			want []string // of two calls with a wrong PIN
		}{
			{patient, []string{"The PIN is wrong: ask for it again.", "No PIN was tried: try again in 60 s."}},
			{strict, []string{"The PIN is wrong: ask for it again.", "The PIN is locked: only the operator can unlock it."}},
		} {
			a := step.d.Enroll(language, "1234")
			a.PIN = "4321"
			for i, want := range step.want {
				got := whatNow(t, a, step.d.URL(""), command)
				if i == 1 && step.d == patient { // some seconds of the minute may have passed
					got = regexp.MustCompile(`in [45]\d s`).ReplaceAllString(got, "in 60 s")
				}
				if got != want {
					t.Errorf("%s, call %d: it says %q, want %q", language, i+1, got, want)
				}
			}
		}
	}
}

// A reason that an example does not know is treated as its advice says.
func TestExamplesFollowTheAdvice(t *testing.T) {
	t.Parallel()
	expectAdvice(t, otpExamples(t))
}

// expectAdvice runs commands whose calls fail for a reason that they do not know, by their language.
func expectAdvice(t *testing.T, commands map[string][]string) {
	t.Helper()
	a := pimsdtest.Start(t).Enroll("alice", "1234")
	for advice, want := range map[string]string{
		"ask_pin": "Ask for the PIN again.", "retry": "Try again later.", "enroll": "Enroll the account with a new SMS code.",
		"operator": "Only the operator can help.", "fix_request": "This request cannot succeed.", "give_up": "This request cannot succeed.",
	} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Pims-Reason", "a_new_reason")
			w.Header().Set("X-Pims-Advice", advice)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"transactionId":"953cfefb-bc72","status":"FAILED","error":{"code":2311,"label":"a label"}}`)
		}))
		for language, command := range commands {
			if got := whatNow(t, a, front.URL, command); got != want {
				t.Errorf("%s with the advice %s: it says %q, want %q", language, advice, got, want)
			}
		}
		front.Close()
	}
}

// The example in Swift, for which Debian has no compiler, and that in Kotlin make the same calls at least, and say the same of each
// reason and advice.
func TestExamplesNameTheCalls(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"kotlin", "swift"} {
		for _, block := range examples(t, language) {
			for _, part := range []string{
				"v1/authentication/otp", `"withPIN"`, `"pinCode"`, "v1/authentication/enrollment", `"enroll"`, `"smsCode"`, "Idempotency-Key", "Retry-After",
				"Authorization", "Bearer", "application/json", "X-Pims-Reason", "X-Pims-Advice",
				`"pin_refused"`, "The PIN is wrong: ask for it again.", `"pin_held_back"`, "No PIN was tried: try again in",
				`"pin_locked"`, "The PIN is locked: only the operator can unlock it.", `"ask_pin"`, "Ask for the PIN again.",
				`"retry"`, "Try again later.", `"enroll"`, "Enroll the account with a new SMS code.",
				`"operator"`, "Only the operator can help.", "This request cannot succeed.",
			} {
				if !strings.Contains(block, part) {
					t.Errorf("%s lacks %s", language, part)
				}
			}
		}
	}
}

// fresh is an account that has an SMS code, and a key that may do everything, and no device yet.
func fresh(t *testing.T, d *pimsdtest.Daemon, name, code string) *pimsdtest.Account {
	t.Helper()
	if err := d.Inwebo.AddAccount(inwebosim.Account{Login: name, Codes: []inwebosim.Code{{Value: code, Once: true}}}); err != nil {
		t.Fatal(err)
	}
	return &pimsdtest.Account{Daemon: d, Name: name, PIN: "1234", SMSCode: code, Key: d.Key(name, "otp", "enroll", "unlock")}
}
