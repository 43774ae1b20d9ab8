package client_test

import (
	"encoding/json"
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
	const uses = "\nprint(otp("
	for _, block := range examples(t, "python") {
		enrolling := strings.Replace(block, uses, "\nenroll(os.environ['PIN'], os.environ['CODE'])"+uses, 1)
		for _, program := range []string{enrolling, block} {
			if given := run(t, a, "python3", "-c", program); !a.Verify(given) {
				t.Errorf("the OTP is not accepted: %s", given)
			}
		}
		refused := *a
		refused.PIN = "4321"
		program := strings.Replace(block, uses, "\ntry: otp(os.environ['PIN'])\nexcept PimsdError as e: print(e.status, e.code, e.reason, e.advice)\nexit()"+uses, 1)
		if said := run(t, &refused, "python3", "-c", program); said != "403 2308 pin_refused ask_pin" {
			t.Errorf("a refused PIN: %s", said)
		}
	}
}

// The examples that ask for an OTP repeat the request when they are told to wait, and nothing else of theirs is printed.
func TestExamplesWait(t *testing.T) {
	t.Parallel()
	a := pimsdtest.Start(t).Enroll("alice", "1234")
	for language, command := range map[string][]string{"sh": {"bash", "-euo", "pipefail", "-c"}, "python": {"python3", "-c"}} {
		for _, block := range examples(t, language) {
			if !strings.Contains(block, "withPIN") {
				continue
			}
			front := busyOnce(t, a)
			said := runAt(t, a, front.URL, command[0], append(command[1:], block)...)
			var answer struct{ Result struct{ OTP string } }
			if json.Unmarshal([]byte(said), &answer) == nil {
				said = answer.Result.OTP
			}
			if !a.Verify(said) {
				t.Errorf("%s: it prints %s", language, said)
			}
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
	for _, block := range examples(t, "go") {
		program := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(program, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if given := run(t, a, "go", "run", program); !a.Verify(given) {
			t.Errorf("the OTP is not accepted: %s", given)
		}
	}
}

// The examples that cannot run here make the same calls at least.
func TestExamplesNameTheCalls(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"kotlin", "swift"} {
		for _, block := range examples(t, language) {
			for _, part := range []string{
				"v1/authentication/otp", `"withPIN"`, `"pinCode"`, "v1/authentication/enrollment", `"enroll"`, `"smsCode"`, "Idempotency-Key", "Retry-After",
				"Authorization", "Bearer", "application/json",
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

// The package imports nothing but the standard library.
func TestNothingButTheStandardLibrary(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	out, err := list.Output()
	if others := strings.TrimSpace(string(out)); err != nil || others != "github.com/pimsd/pimsd/client" {
		t.Errorf("%v: it stands on %q", err, others)
	}
}
