package replicatest_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// testTimeout is longer than anything takes that works.
const testTimeout = 2 * time.Minute

// process is a running pimsd.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	api    string // host:port
	ops    string // host:port
	done   chan struct{}
	err    error // of the end; read after done
	killed bool  // by the test

	mu  sync.Mutex
	log strings.Builder
}

// start starts a process on the world's store and waits until it serves. At the end of the test it is told to end, if it
// still runs, and must do so in order.
func (w *harness) start() *process {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{t: w.t, cmd: exec.Command(self), done: make(chan struct{})}
	p.cmd.Env = append(w.settings.environ(), childVariable+"="+string(w.clock)) // and nothing of the environment of the tests
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	serving := make(chan struct{})
	go p.follow(stderr, serving)
	w.t.Cleanup(p.end)
	select {
	case <-serving:
	case <-p.done:
		w.t.Fatalf("the process ended at its start: %v\n%s", p.err, p.text())
	case <-time.After(testTimeout):
		w.t.Fatalf("the process does not serve:\n%s", p.text())
	}
	return p
}

// starts starts several.
func (w *harness) starts(n int) (all []*process) {
	w.t.Helper()
	for range n {
		all = append(all, w.start())
	}
	return all
}

// follow reads the log to its end, and then waits for the process. Its addresses are in the line that says "serving".
func (p *process) follow(stderr io.Reader, serving chan<- struct{}) {
	defer close(p.done)
	for lines := bufio.NewReader(stderr); ; {
		text, err := lines.ReadString('\n')
		p.mu.Lock()
		p.log.WriteString(text)
		p.mu.Unlock()
		var line struct{ Message, Listen, Ops string }
		if json.Unmarshal([]byte(text), &line) == nil && line.Message == "serving" {
			p.api, p.ops = line.Listen, line.Ops
			close(serving)
		}
		if err != nil {
			break
		}
	}
	p.err = p.cmd.Wait()
}

// text is the log so far.
func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) signal(signal syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Errorf("%v: %v", signal, err)
	}
}

// pause puts the process to sleep, and returns when all of it sleeps.
func (p *process) pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		p.t.Fatalf("the process does not sleep: %v", err)
	}
}

// resume wakes it.
func (p *process) resume() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
}

// kill ends it at once.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.done
	p.killed = true
}

// terminate tells it to end and waits until it has.
func (p *process) terminate() (took time.Duration) {
	p.t.Helper()
	began := time.Now()
	p.signal(syscall.SIGTERM)
	<-p.done
	return time.Since(began)
}

// end ends it as an operator would, whatever the test has left of it.
func (p *process) end() {
	select {
	case <-p.done:
	default:
		p.resume()
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(testTimeout):
			p.t.Error("the process does not end")
			p.signal(syscall.SIGKILL)
			<-p.done
		}
	}
	if p.err != nil && !p.killed {
		p.t.Errorf("the process ended with %v", p.err)
	}
	if p.t.Failed() {
		p.t.Logf("log of %s:\n%s", p.api, p.text())
	}
}

// until repeats what has to happen soon by itself.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for began := time.Now(); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > testTimeout {
			t.Fatalf("not within %v: %s", testTimeout, what)
		}
	}
}
