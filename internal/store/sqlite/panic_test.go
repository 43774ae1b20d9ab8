package sqlite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// A write that panics is refused alone: the process goes on, and so do the other writes of its transaction and those after it.
func TestAWriteThatPanics(t *testing.T) {
	t.Parallel()
	_, s := newDir(t)
	defer closeStore(t, s)
	panics := func(target) (refusal, failure error) { panic("in a write") }
	errs := together(t, s, writing(benchWrite(1, 1)), panics, writing(benchWrite(2, 1)))
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("the writes return %v, want an error of the second alone", errs)
	}
	if err := s.Replace(t.Context(), benchWrite(1, 2)); err != nil {
		t.Error(err)
	}
}

// A read that panics fails its caller alone, on whichever goroutine it is done.
func TestAReadThatPanics(t *testing.T) {
	t.Parallel()
	_, s := newDir(t)
	defer closeStore(t, s)
	writeRow(t, s, 1)
	scan := func(*row) (int, error) { panic("in a read") }
	_, err := read(t.Context(), s.writer, func(c *conn) ([]int, error) { return all(c, scan, fetchRow, "account 1") })
	if err == nil || !strings.Contains(err.Error(), "panic_test.go") {
		t.Errorf("a read that panics returns %v, want an error that names the place", err)
	}
	if _, err := list(t.Context(), s, "list", scan, listDevices, "", 1); err == nil {
		t.Error("a list that panics returns no error")
	}
	writeRow(t, s, 1)
}

// A panic outside of any write is an error of all writes at hand, of which it is not known whether they are stored.
func TestATransactionThatPanics(t *testing.T) {
	t.Parallel()
	_, s := newDir(t)
	defer closeStore(t, s)
	var panicking bool
	s.writer.observe = func(int, time.Duration, error) {
		if panicking = !panicking; panicking {
			panic("in an observer")
		}
	}
	write := benchWrite(1, 1)
	if errs := together(t, s, writing(write)); errs[0] == nil || errors.Is(errs[0], otp.ErrNotApplied) {
		t.Errorf("the write returns %v, want an error that leaves open whether it is stored", errs[0])
	}
	if err := s.Create(t.Context(), write); err != nil {
		t.Errorf("the same write again: %v", err)
	}
}
