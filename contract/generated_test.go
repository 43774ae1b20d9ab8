//go:build tools

package contract_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		for behind, address := range map[string]string{"the service": f.URL, "a proxy that validates": prism(t, f.URL)} {
			outcomes := f.outcomes(t)
			if address != f.URL {
				outcomes = notForwarded.ReplaceAllString(outcomes, "")
			}
			env := []string{"URL=" + address, "DEVICE=" + aDevice, "KEY_ID=" + f.keyID}
			if out := command(t, ".", outcomes, env, caller[0], caller[1:]...); out != "" {
				t.Errorf("the client in %s at %s:\n%s", name, behind, out)
			}
		}
	}
}

// notForwarded are outcomes that the proxy cannot forward: it sends a body as text, which a device file is not, and answers 500 by itself
// to HEAD.
var notForwarded = regexp.MustCompile(`(?m)^(importDevice 200|probe).*\n?`)

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
