package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// processTimeout is longer than anything takes that works.
const processTimeout = time.Minute

// process is one that the lab has started.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	log    string // the file with its standard error
	ended  chan struct{}
	err    error // of its end; read after ended
}

// start starts a program with an environment of its own. Its log goes to a file, as a service's does.
func (l *env) start(ctx context.Context, name string, environ []string, program string, args ...string) (*process, error) {
	l.started++
	p := &process{name: name, log: filepath.Join(l.scratch, fmt.Sprintf("%s-%d.log", name, l.started))}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()                                        // the process has its own
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // one of ours
	p.cmd.Env, p.cmd.Stderr = append([]string{}, environ...), log
	dieWithParent(p.cmd)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop tells it to end, and waits until it has.
func (p *process) stop() error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	_ = p.stdin.Close() // who reads orders reads to their end; when it fails, the process has ended
	<-p.ended
	if p.err != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w\n%s", p.name, p.err, p.lastWords()))
	}
	return err
}

// lastWords is the end of its log.
func (p *process) lastWords() []byte {
	text, _ := os.ReadFile(p.log) // it says what it can
	return text[max(0, len(text)-2000):]
}
