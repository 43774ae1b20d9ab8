package input

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newPipe makes a named pipe that only its owner may use.
func newPipe(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openWriter returns the writing end of a pipe.
func openWriter(t *testing.T, path string) *os.File {
	t.Helper()
	writer, err := os.OpenFile(path, os.O_RDWR, 0) // which does not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = writer.Close() })
	return writer
}

// Nothing waits for a writer that does not come, and no command that failed passes for an empty file.
func TestPipeWithoutWriter(t *testing.T) {
	t.Parallel()
	path := newPipe(t)
	for name, read := range map[string]func() error{
		"ReadFile":       func() error { _, err := ReadFile(path, 100); return err },
		"ReadSecretFile": func() error { _, err := ReadSecretFile(path, 100); return err },
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(), path+" is a pipe into which nothing was written") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if warning := SecretFileWarning(path); warning != "" {
		t.Errorf("the warning is %q", warning)
	}
}

func TestPipeWithSilentWriter(t *testing.T) {
	t.Parallel()
	path := newPipe(t)
	openWriter(t, path)
	file, err := open(path, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := readAll(file, 100); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it ends with %v", err)
	}
}

// A secret may come from a program that takes its time, as by process substitution of a shell.
func TestPipeWithSlowWriter(t *testing.T) {
	t.Parallel()
	path := newPipe(t)
	writer := openWriter(t, path)
	file, err := open(path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	type result struct {
		content []byte
		err     error
	}
	read := make(chan result, 1)
	go func() {
		content, err := readAll(file, 100)
		read <- result{content, err}
	}()
	for _, part := range []string{"hid", "den"} {
		if _, err := writer.WriteString(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-read; r.err != nil || string(r.content) != "hidden" {
		t.Errorf("%q, %v", r.content, r.err)
	}
}
