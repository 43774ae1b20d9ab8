package sqlite

import (
	"context"
	"errors"
	"testing"
)

// Only a locked database is tried again: any other failure is told at once.
func TestConnectionThatFails(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openConn(ended, t.TempDir(), standardPragmas()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a directory: %v, want what is wrong with it", err)
	}
}

func TestConnectionThatOnlyReads(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	c, err := openReadOnly(s.writer.path, withLog)
	must(t, err)
	wait, _, err := one(c, (*row).integer, "PRAGMA busy_timeout")
	if want := busyTimeout.Milliseconds(); err != nil || wait != want {
		t.Errorf("it waits %d ms for a lock, %v; want %d", wait, err, want)
	}
	must(t, c.Close())
	if _, err := openReadOnly(s.writer.path+".none", withLog); err == nil {
		t.Error("there is a connection to a file that is not there")
	}
}

// Where the time of a statement has ended, only its interruption is called that: another failure stays what it is.
func TestFailureOutOfTime(t *testing.T) {
	t.Parallel()
	c, err := openMemory()
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	_, _, malformed := c.PrepareTransient("SELECT")
	if malformed == nil {
		t.Fatal("SELECT is a statement")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer c.interruptedBy(ended)()
	if err := c.failure(malformed); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a malformed statement: %v", err)
	}
}

func TestTwoErrorsAreJoined(t *testing.T) {
	t.Parallel()
	first, second := errors.New("first"), errors.New("second")
	if err := joinErrors(first, second); !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("both: %v", err)
	}
	if err := joinErrors(first, nil); err != first {
		t.Errorf("the first alone: %#v", err)
	}
}
