package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// check runs pimsd check with those settings and returns what it says.
func check(t *testing.T, environ ...string) (said string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "pimsd", "check")
	cmd.Env = append(os.Environ(), append(environ, "PIMSD_DATA_DIR="+t.TempDir(), "PIMSD_INWEBO_URL=http://127.0.0.1:1")...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// writeSecret writes sealing keys with the mode that a container runtime gives them.
func writeSecret(t *testing.T, folder string, mode os.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(folder, "seal.keys")
	if err := os.WriteFile(path, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Docker, Swarm and Kubernetes mount secrets on tmpfs, for all users of the container to read.
func TestSecretsAsContainerRuntimesMountThem(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
		t.Skipf("this test mounts a file system, which this process may not: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(folder, 0) })
	for _, mode := range []os.FileMode{0o444, 0o644, 0o660} {
		path := writeSecret(t, folder, mode)
		said, _ := check(t, "PIMSD_SEAL_KEYS_FILE="+path)
		if !strings.Contains(said, "note     secret files") || !strings.Contains(said, "ok       sealing keys") {
			t.Errorf("mode %#o: %s", mode, said)
		}
		_ = os.Remove(path)
	}
}

// Every command that reads a secret warns as the service does, also the one that opens no secret of a device.
func TestCommandsWarnOfSecretFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
		t.Skipf("this test mounts a file system, which this process may not: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(folder, 0) })
	keys := writeSecret(t, folder, 0o444)
	const noAddress = "--listen=192.0.2.1:80" // of no machine: RFC 5737
	for _, args := range [][]string{
		{"otp", "anna"},
		{"key", "list"},
		{"config"},
		{"serve", noAddress, "--http-allow-plain=yes"},
		{"serve", noAddress, "--http-allow-plain=yes", "--maintenance=yes"},
	} {
		cmd := exec.CommandContext(t.Context(), "pimsd", args...)
		var stdout, stderr strings.Builder
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("1234\n"), &stdout, &stderr
		cmd.Env = append(os.Environ(), "PIMSD_DATA_DIR="+t.TempDir(), "PIMSD_INWEBO_URL=http://127.0.0.1:1", "PIMSD_SEAL_KEYS_FILE="+keys)
		_ = cmd.Run() // there is no account and no store
		if got := strings.Count(stderr.String(), keys+" has mode 0444"); got != 1 || strings.Contains(stdout.String(), "0444") {
			t.Errorf("%v warns %d times:\n%s\nstandard output:\n%s", args, got, &stderr, &stdout)
		}
	}
}

func TestSecretsThatOthersMayRead(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp(".", "on-disk-") //nolint:usetesting // where tests have their own folders may be tmpfs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	said, status := check(t, "PIMSD_SEAL_KEYS_FILE="+writeSecret(t, folder, 0o644))
	if status != statusUsage || !strings.Contains(said, "make it 0600, or 0640 for a group that reads it") {
		t.Errorf("a file of a secret: status %d: %s", status, said)
	}
	settings := filepath.Join(folder, "pimsd.yaml")
	if err := os.WriteFile(settings, []byte("seal:\n  keys: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(settings, 0o644); err != nil {
		t.Fatal(err)
	}
	said, _ = check(t, "PIMSD_CONFIG="+settings)
	if !strings.Contains(said, "holds a secret, and every user of this machine may read it") {
		t.Errorf("a file of settings with a secret in it: %s", said)
	}
}
