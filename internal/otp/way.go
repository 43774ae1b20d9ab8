package otp

import (
	"errors"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// setOut refuses a conversation while inWebo is left alone, before anything is held or spent for it. It comes after the
// lane: who queues must not be the one that all others wait for. leave is to be called when the conversation is over.
func (s *Service) setOut(c *conversation) (leave func(), err error) {
	way, wait := s.circuit.Enter()
	if way == nil {
		return nil, &Wait{ErrCircuitOpen, wait}
	}
	c.way = way
	return way.Leave, nil
}

// report tells what the outcome says of the way to inWebo, if it says anything. Whatever was answered, the host is there.
func (c *conversation) report(o outcome) {
	is := func(cause error) bool { return errors.Is(o.err, cause) }
	answered := o.fate == accepted || o.fate == refused ||
		is(inwebo.ErrServer) || is(inwebo.ErrNotService) || is(inwebo.ErrNotUnderstood)
	switch {
	case c.way == nil:
	case answered:
		c.way.Answered()
	case is(inwebo.ErrNetwork), is(inwebo.ErrLate):
		c.way.Failed()
	}
}
