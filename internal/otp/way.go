package otp

import (
	"errors"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// setOut refuses a conversation while inWebo is left alone. It comes right before the hold: nothing is held or spent for it
// then, and who queues for a device is not the one that all others wait for. finish calls Leave.
func (s *Service) setOut(c *conversation) error {
	if c.way != nil {
		return nil
	}
	way, wait := s.circuit.Enter()
	if way == nil {
		return &Wait{ErrCircuitOpen, wait}
	}
	c.way = way
	return nil
}

// stayBack undoes setOut.
func (s *Service) stayBack(c *conversation) {
	if c.way != nil {
		c.way.Leave()
		c.way = nil
	}
}

// report tells what the outcome says of the way to inWebo, if it says anything. Whatever was answered, the host is there.
func (c *conversation) report(o outcome) {
	is := func(cause error) bool { return errors.Is(o.err, cause) }
	_, refusal := errors.AsType[*inwebo.Refusal](o.err) // whatever its fate
	answered := o.fate == accepted || refusal ||
		is(inwebo.ErrServer) || is(inwebo.ErrNotService) || is(inwebo.ErrNotUnderstood) || is(inwebo.ErrUnreadable)
	switch {
	case c.way == nil:
	case answered:
		c.way.Answered()
	case is(inwebo.ErrNetwork), is(inwebo.ErrLate):
		c.way.Failed()
	}
}
