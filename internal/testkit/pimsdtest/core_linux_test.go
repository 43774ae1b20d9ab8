package pimsdtest_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/coretest"
)

// None of the secrets is in the memory of `pimsd check` beside a service that has been through a lot, nor in what Go prints
// of the process when it is made to crash. What is looked at is what a core would hold, when check has looked at the store
// and the sealing keys and waits for inWebo.
func TestNoSecretInTheCoreOfACheck(t *testing.T) {
	t.Parallel()
	o := goThrough(t)
	delete(o.secrets, "the serial") // stands in records: it opens nothing
	pimsd := buildCommand(t)
	made := filepath.Join(o.daemon.Config.DataDir, seal.FileName)
	given := filepath.Join(t.TempDir(), "given.keys")
	names, err := seal.NamesInFile(made)
	if err != nil {
		t.Fatal(err)
	}
	line := sealingLine(t, o.daemon.Config)
	if err := os.WriteFile(given, []byte("# ours\n"+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, environ := range map[string][]string{
		"with the keys in the data directory": nil,
		"with the keys in a file":             {"PIMSD_SEAL_KEYS_FILE=" + given},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, trace := crashCheck(t, pimsd, append(environ, "PIMSD_DATA_DIR="+o.daemon.Config.DataDir))
			o.secrets.escaped(t, "the core", core, fmt.Sprintf("the current one is %s; records that they open: 1", names.Current()))
			o.secrets.escaped(t, "the trace", trace, "main.main()")
		})
	}
	t.Run("it would be found", func(t *testing.T) {
		t.Parallel()
		core, _ := crashCheck(t, pimsd, []string{"PIMSD_SEAL_KEYS=" + line, "PIMSD_DATA_DIR=" + o.daemon.Config.DataDir})
		if len(o.secrets.foundIn(core)) == 0 {
			t.Error("the core does not even have a key that is in the environment")
		}
	})
}

// buildCommand builds the command as its users have it: not this test, whose text has secrets in it.
func buildCommand(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pimsd")
	if out, err := exec.Command("go", "build", "-o", path, "../../../cmd/pimsd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// crashCheck runs `pimsd check` with an inWebo that takes its question and says nothing. It gives all memory of the process
// as it waits, and what Go prints when the process is killed then.
func crashCheck(t *testing.T, pimsd string, environ []string) (core, trace string) {
	t.Helper()
	inwebo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inwebo.Close() }()
	check := exec.CommandContext(t.Context(), pimsd, "check")
	check.Dir = t.TempDir() // where the kernel may leave a core, too
	check.Env = slices.Concat(environ, []string{
		"GOTRACEBACK=crash", "PIMSD_INWEBO_URL=http://" + inwebo.Addr().String(),
		"PIMSD_INWEBO_EXCHANGE_TIMEOUT=1m", "PIMSD_CONVERSATION_DEADLINE=2m",
	})
	var out, trouble bytes.Buffer
	check.Stdout, check.Stderr = &out, &trouble
	if err := check.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- check.Wait()
		_ = inwebo.Close() // nobody will come
	}()
	asked, err := inwebo.Accept()
	if err != nil {
		t.Fatalf("check has ended, and says %s%s", out.String(), trouble.String())
	}
	defer func() { _ = asked.Close() }()
	if _, err := asked.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	core = coretest.Of(t, check.Process.Pid)
	if err := check.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("check ends well without an answer of inWebo")
	}
	return core, trouble.String()
}
