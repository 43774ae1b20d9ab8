package otp

import "context"

// mayEnroll returns why no device may be enrolled for the account of the record.
func mayEnroll(r Record, limits *Limits, replace, force bool) error {
	switch {
	case r.Device != nil && !r.Device.Unconfirmed && !replace:
		return ErrAlreadyEnrolled
	case limits.Activations.judge(r.Activations).Exhausted && !force:
		return ErrActivations
	default:
		return nil
	}
}

// CheckEnroll returns why Enroll would be refused before inWebo is asked anything, and changes nothing.
func (s *Service) CheckEnroll(ctx context.Context, ask Ask, e Enrolling) (Activations, error) {
	c, err := s.enter(ctx, ask, actionEnroll, s.limits.Deadline)
	if err != nil {
		return Activations{}, err
	}
	defer s.finish(c)
	if e.Replace {
		c.tolerance = replacesDevice
	}
	found, err := s.fetch(ctx, c)
	if err != nil {
		return Activations{}, because(ErrStore, err)
	}
	found, _ = found.corrected(c.now())
	used := s.limits.Activations.judge(found.Activations)
	switch err := mayEnroll(found, &s.limits, e.Replace, e.Force); {
	case found.Disabled:
		return used, ErrDisabled
	case err != nil:
		return used, err
	case found.LeasedAt(c.now()):
		return used, &Wait{ErrBusy, found.Hold.Until.Sub(c.now())}
	default:
		return used, s.acquirePermit(c)
	}
}
