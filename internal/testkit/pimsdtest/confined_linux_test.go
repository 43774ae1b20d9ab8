package pimsdtest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// A daemon that can write nothing but its data directory, as in the project's image, deletes stored responses whose time
// is over, writes its log back into the database, and goes on serving. Neither may need a temporary file.
func TestNothingWritableButTheDataDirectory(t *testing.T) {
	t.Parallel()
	const calls = 600 // two writes each: more than there are between two checkpoints
	c := confine(t)
	c.serve()
	c.pimsd(aPIN+"\n", "enroll", "--account", "alice", "--sms-code", inwebosim.DefaultCode, "--no-check")
	key := strings.TrimSpace(c.pimsd("", "key", "create", "--account", "alice"))
	for n := range calls {
		c.otp(key, fmt.Sprint("call ", n))
	}
	until(t, "the stored responses are deleted", func() bool { return c.storedResponses() == 0 })
	c.otp(key, "the last call")
	if status, text := c.get("/readyz?verbose"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if faults := c.faults(); faults != "" {
		t.Errorf("the daemon logs faults:\n%s", faults)
	}
}

// confined is an installation in a root directory of its own. It has the static command and an empty data directory, and
// its user can write to the latter alone.
type confined struct {
	t       *testing.T
	root    string
	environ []string
	api     string
	ops     string

	mu    sync.Mutex
	lines bytes.Buffer
}

// inside is the data directory as the installation names it.
const inside = "/data"

// imageUser is the user of the project's image.
const imageUser = 65532

func confine(t *testing.T) *confined {
	t.Helper()
	inwebo := testkit.StartInwebo(t, inwebosim.Options{Knobs: inwebosim.DefaultKnobs()})
	c := &confined{t: t, root: t.TempDir(), environ: []string{
		"PIMSD_DATA_DIR=" + inside, "PIMSD_LISTEN=127.0.0.1:0", "PIMSD_OPS_LISTEN=127.0.0.1:0",
		"PIMSD_INWEBO_URL=" + inwebo.ProtocolURL(), "PIMSD_QUOTA_OTPS_PER_DAY=0", "PIMSD_LOAD_CALLER_RATE=0",
		"PIMSD_IDEMPOTENCY_ANSWER_LIFE=1s",
	}}
	// Linked statically, the command needs nothing else in its root directory. Without cgo all of it would be compiled again.
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-linkmode=external -extldflags=-static",
		"-o", filepath.Join(c.root, "pimsd"), "../../../cmd/pimsd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data := filepath.Join(c.root, inside)
	if err := errors.Join(os.Mkdir(data, 0o700), os.Chmod(c.root, 0o555)); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(data, imageUser, imageUser); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(c.root, 0o700) }) // so that it can be removed
	return c
}

// command is the command inside. The user that runs the test becomes the image's user there: root by changing to it, anyone else
// in a user namespace.
func (c *confined) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), "/pimsd", args...)
	cmd.Dir, cmd.Env = "/", c.environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: imageUser, Gid: imageUser}
	} else {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// pimsd runs a command to its end and returns its standard output.
func (c *confined) pimsd(input string, args ...string) string {
	c.t.Helper()
	cmd := c.command(args...)
	var out, trouble bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &trouble
	switch err := cmd.Run(); {
	case err != nil && os.Getuid() != 0 && isDenied(err):
		c.t.Skipf("this system lets only root confine a process: %v", err)
	case err != nil:
		c.t.Fatalf("pimsd %s: %v: %s", strings.Join(args, " "), err, trouble.String())
	}
	return out.String()
}

func isDenied(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSPC)
}

// serve starts the daemon, waits until it serves, and stops it with the test.
func (c *confined) serve() {
	c.t.Helper()
	cmd := c.command("serve")
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	serving, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.read(bufio.NewScanner(out), serving)
	}()
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("the daemon ended with %v:\n%s", err, c.faults())
		}
	})
	select {
	case <-serving:
	case <-ended:
		c.t.Fatalf("the daemon does not serve:\n%s", c.faults())
	}
}

// read keeps the log, and closes serving when a line says where the daemon serves.
func (c *confined) read(lines *bufio.Scanner, serving chan<- struct{}) {
	for lines.Scan() {
		c.mu.Lock()
		c.lines.Write(append(lines.Bytes(), '\n'))
		var line struct{ Msg, Listen, Ops string }
		found := c.api == "" && json.Unmarshal(lines.Bytes(), &line) == nil && line.Listen != ""
		if found {
			c.api, c.ops = line.Listen, line.Ops
		}
		c.mu.Unlock()
		if found {
			close(serving)
		}
	}
}

// faults are the lines of the log that are no information.
func (c *confined) faults() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var faults strings.Builder
	for line := range strings.Lines(c.lines.String()) {
		if !strings.HasPrefix(line, `{"level":"info"`) {
			faults.WriteString(line)
		}
	}
	return faults.String()
}

// otp wants an OTP for a call that may be repeated.
func (c *confined) otp(key, call string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+c.api+"/v1/authentication/otp",
		strings.NewReader(pimsdtest.WithPIN(aPIN)))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", call)
	if status, text := c.do(req); status != http.StatusOK {
		c.t.Fatalf("%s: %d %s\n%s", call, status, text, c.faults())
	}
}

// get gets a path of the operators' listener.
func (c *confined) get(path string) (status int, body string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.ops+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do(req)
}

func (c *confined) do(req *http.Request) (status int, body string) {
	c.t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}

// storedResponses counts them in the database, from outside.
func (c *confined) storedResponses() int {
	c.t.Helper()
	return countResponses(c.t, filepath.Join(c.root, inside, sqlite.FileName))
}
