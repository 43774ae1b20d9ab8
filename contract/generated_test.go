//go:build tools

package contract_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/oapi-codegen/runtime" // generated clients in Go import it
)

const (
	document = "../api/openapi.yaml"
	node     = "testdata/node"
	aDevice  = "../internal/devicefile/testdata/devices/psa_car_controller-otp.bin"
)

// command returns what a command prints, which must succeed.
func command(t *testing.T, dir, stdin string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), append(env, "REDOCLY_TELEMETRY=off")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// bin is the command of a package of npm.
func bin(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(node, "node_modules/.bin", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The document has no fault and no warning.
func TestLintersHaveNoWarning(t *testing.T) {
	if out := command(t, ".", "", nil, bin(t, "redocly"), "lint", document); strings.Contains(out, "warning") {
		t.Errorf("redocly: %s", out)
	}
	command(t, ".", "", nil, bin(t, "spectral"), "lint", document, "--ruleset", node+"/spectral.yaml", "--fail-severity=hint")
}

// The Go client compiles and vets with the Go that its go.mod names.
func TestClientNeedsAnOlderGo(t *testing.T) {
	command(t, "../client", "", []string{"GOTOOLCHAIN=go1.23.12"}, "go", "build", ".")
}

// A client in Go that oapi-codegen makes, and one in TypeScript that openapi-typescript makes, meet every documented outcome, and a
// proxy that validates sees no violation of the document.
func TestGeneratedClientsMeetEveryOutcome(t *testing.T) {
	generated := "testdata/generated"
	if err := os.MkdirAll(generated, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(generated) })
	command(t, ".", "", nil, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "generated", "-o", generated+"/pimsd.go", document)
	goClient := filepath.Join(t.TempDir(), "goclient")
	command(t, ".", "", nil, "go", "build", "-o", goClient, "./testdata/goclient")
	command(t, ".", "", nil, bin(t, "openapi-typescript"), document, "-o", node+"/generated.d.ts")
	t.Cleanup(func() { _, _ = os.Remove(node+"/generated.d.ts"), os.Remove(node+"/caller.js") })
	command(t, node, "", nil, bin(t, "tsc"), "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck", "caller.ts")

	for name, caller := range map[string][]string{"Go": {goClient}, "TypeScript": {"node", node + "/caller.js"}} {
		f := newFront(t)
		prismed := httptest.NewServer(forPrism(f.Config.Handler))
		t.Cleanup(prismed.Close)
		for behind, at := range map[string]struct{ address, device string }{
			"the service": {f.URL, aDevice}, "a proxy that validates": {prism(t, prismed.URL), deviceAsText(t)},
		} {
			env := []string{"URL=" + at.address, "DEVICE=" + at.device, "KEY_ID=" + f.keyID}
			if out := command(t, ".", f.outcomes(t), env, caller[0], caller[1:]...); out != "" {
				t.Errorf("the client in %s at %s:\n%s", name, behind, out)
			}
		}
	}
}

// What /openapi.yaml answers is held to its schema: a validator that reads it as text refuses another document. The one of
// internal/testkit/pimsdtest reads what is written in it.
func TestPrismRefusesAnotherDocument(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Request-Id", "953cfefb-bc72-4d6e-9d43-0a1b2c3d4e5f")
		_, _ = io.WriteString(w, "openapi: 2.0\n")
	}))
	t.Cleanup(upstream.Close)
	resp, err := http.Get(prism(t, upstream.URL) + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("sl-violations"); !strings.Contains(got, "pattern") {
		t.Errorf("the violations are %q", got)
	}
}

// deviceAsText returns the name of a file that has a device file in base64, which forPrism decodes.
func deviceAsText(t *testing.T) string {
	t.Helper()
	file, err := os.ReadFile(aDevice)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(name, []byte(base64.StdEncoding.EncodeToString(file)), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// forPrism returns the handler that prism forwards to. Prism decodes a body of any type but JSON as UTF-8, which damages a binary one, so the
// device file comes in base64. It also parses the body of an answer to HEAD when its Content-Type is JSON, and fails because there is
// none, so the answer goes without the type.
func forPrism(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") == "application/octet-stream" {
			r.Body, r.ContentLength = io.NopCloser(base64.NewDecoder(base64.StdEncoding, r.Body)), -1
		}
		if r.Method == http.MethodHead {
			w = untyped{w}
		}
		h.ServeHTTP(w, r)
	})
}

// untyped removes the Content-Type of an answer.
type untyped struct{ http.ResponseWriter }

func (u untyped) WriteHeader(status int) {
	u.Header()["Content-Type"] = nil // and net/http adds none
	u.ResponseWriter.WriteHeader(status)
}

// prism starts a proxy that validates requests and answers, and returns its address.
func prism(t *testing.T, upstream string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	cmd := exec.CommandContext(t.Context(), bin(t, "prism"), "proxy", document, upstream, "--port", port, "--host", "127.0.0.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := "http://127.0.0.1:" + port
	for range 600 {
		if resp, err := http.Get(address + "/openapi.yaml"); err == nil {
			_ = resp.Body.Close()
			return address
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(fmt.Errorf("prism does not answer at %s", address))
	return ""
}
