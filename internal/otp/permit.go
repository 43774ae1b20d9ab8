package otp

import (
	"errors"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// acquirePermit refuses a conversation while the circuit to inWebo is open. It comes right before the lease, so that nothing is
// leased or spent then, and a call that queues for a device is not the one that all others wait for. finish releases the permit.
func (s *Service) acquirePermit(c *conversation) error {
	if c.permit != nil {
		return nil
	}
	permit, wait := s.circuit.Acquire()
	if permit == nil {
		return &Wait{ErrCircuitOpen, wait}
	}
	c.permit = permit
	return nil
}

// releasePermit undoes acquirePermit.
func (s *Service) releasePermit(c *conversation) {
	if c.permit != nil {
		c.permit.Release()
		c.permit = nil
	}
}

// report tells the circuit what the outcome shows of the host, if it shows anything. Any answer means that the host is there.
func (c *conversation) report(o outcome) {
	is := func(cause error) bool { return errors.Is(o.err, cause) }
	_, refusal := errors.AsType[*inwebo.Refusal](o.err) // whatever its fate
	answered := o.fate == accepted || refusal ||
		is(inwebo.ErrServer) || is(inwebo.ErrNotService) || is(inwebo.ErrNotUnderstood) || is(inwebo.ErrUnreadable)
	switch {
	case c.permit == nil:
	case answered:
		c.permit.Success()
	case is(inwebo.ErrNetwork), is(inwebo.ErrLate):
		c.permit.Failure()
	}
}
