package inwebosim

import "slices"

// Seed is what repeats this run.
func (s *Simulator) Seed() uint64 { return s.seed }

// Knobs tells how the service behaves at present.
func (s *Simulator) Knobs() Knobs { return *s.knobs.Load() }

// SetKnobs changes it, from the next request on; it reports every fault and then changes nothing.
func (s *Simulator) SetKnobs(k Knobs) error {
	if err := k.Validate(); err != nil {
		return err
	}
	s.knobs.Store(&k)
	return nil
}

// Hooks pause the world at exact points, for tests in the same process. They get a copy of the exchange
// and are called without any lock.
type Hooks struct {
	// Before a request is processed, after it was counted.
	Before func(Exchange)
	// After it was processed, or lost, and before its answer leaves.
	After func(Exchange)
}

// SetHooks replaces the hooks; the zero Hooks removes them.
func (s *Simulator) SetHooks(h Hooks) { s.hooks.Store(&h) }

// AddAccount adds an account, or SMS codes and a PIN to one that is there; a code that was spent is fresh again.
func (s *Simulator) AddAccount(a Account) error { return s.registry.addAccount(a) }

// Plant adds faults behind those that are there; it refuses all of them when one has a fault.
func (s *Simulator) Plant(n ...Fault) error { return s.faults.plant(n) }

// Planted lists the faults that are not used up.
func (s *Simulator) Planted() []Fault { return s.faults.list() }

// ClearFaults removes them all.
func (s *Simulator) ClearFaults() { s.faults.clear() }

// History lists the remembered requests that match, in the order of their arrival.
func (s *Simulator) History(m Match) []Exchange { return s.history.list(m, 0) }

// Block makes a device answer NOK:NOK_BLOCKED.
func (s *Simulator) Block(id string) error {
	return s.change(id, func(d *device) { d.isBlocked = true })
}

// Unblock ends that, as people do on the vendor's site, and forgives the wrong proofs in a row. It does the same for
// the device's account.
func (s *Simulator) Unblock(id string) error {
	return s.change(id, func(d *device) {
		d.isBlocked = false
		d.forgive()
	})
}

// SetOverride makes one device behave unlike the knobs.
func (s *Simulator) SetOverride(id string, o Override) error {
	if err := o.validate(); err != nil {
		return err
	}
	return s.change(id, func(d *device) { d.own = o })
}

// Forget removes a device: from now on its requests are answered NOK:NODEVICE.
func (s *Simulator) Forget(id string) error {
	if !s.registry.forget(id) {
		return ErrUnknownDevice
	}
	return nil
}

func (s *Simulator) change(id string, do func(*device)) error {
	d := s.registry.find(id)
	if d == nil {
		return ErrUnknownDevice
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	do(d)
	return nil
}

// ServiceIDs returns the s_id of every service that a device which is activated from now on has.
func (s *Simulator) ServiceIDs() []string { return slices.Clone(s.serviceIDs[:s.Knobs().Services]) }
