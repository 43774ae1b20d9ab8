// Package deploy_test holds what deploys pimsd to the tools that will read it, and to the program itself: systemd, Helm and the
// Kubernetes API's schemas, Prometheus, a browser, a container. `make deploy` runs it and installs what it needs.
package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pimsd is the program, built once for all tests, as releases are.
var pimsd string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pimsd-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	pimsd = filepath.Join(dir, "pimsd")
	if err := build(pimsd); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes the program without regard to the checkout's state, so that two builds can be compared.
func build(to string) error {
	cmd := exec.Command("go", "build", "-C", "..", "-trimpath", "-ldflags=-s -w", "-o", to, "./cmd/pimsd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// output runs a command that must succeed, and returns what it prints on standard output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, all, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, all)
	}
	return out
}

// try runs a command. all is standard error too.
func try(t *testing.T, name string, args ...string) (out, all string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &both
	err = cmd.Run()
	return stdout.String(), stdout.String() + both.String(), err
}

// read returns a file of the repository, by its path below deploy.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
