package inwebosim

// Counters is what the service has counted of a device.
type Counters struct {
	// Requests, Setups and Finalizes were received with the device's id, lost ones included.
	Requests  uint32 `json:"requests"`
	Setups    uint32 `json:"setups"`
	Finalizes uint32 `json:"finalizes"`
	// MaxFinalizesPerChallenge above 1 shows a finalize that was sent twice.
	MaxFinalizesPerChallenge uint32 `json:"max_finalizes_per_challenge"`
	// Overlaps are setups that replaced a challenge which no finalize had been sent for: another
	// conversation of the device was under way, or had been given up.
	Overlaps uint32 `json:"overlaps"`
	// Activations are accepted activate finalizes.
	Activations uint32 `json:"activations"`
	// Step is accepted otp rounds, first and second ones.
	Step uint32 `json:"step"`
	// Moves counts the times that the device got other keys: at an activation, and with each step.
	Moves uint32 `json:"moves"`
	// Acknowledged is the value of Moves at the last answer that carried keys and was sent whole, in a form that
	// a client can use. Below Moves, the last movement is not known to any client.
	Acknowledged uint32 `json:"acknowledged"`
	// WrongInARow counts the finalizes refused for their proofs since the last that was accepted, or since the
	// device was unblocked. It is what blocks at the knob's WrongLimit; WrongPeak is the highest that it ever was.
	WrongInARow uint32 `json:"wrong_in_a_row"`
	WrongPeak   uint32 `json:"wrong_peak"`
	// WrongProofs are finalizes refused for their proofs, whatever was wrong with them.
	WrongProofs uint32 `json:"wrong_proofs"`
	// WrongPINs are finalizes of which R2 alone did not fit, refused or, with CheckPIN off, not.
	WrongPINs uint32 `json:"wrong_pins"`
	// StaleProofs are finalizes made with the keys from before the last movement.
	StaleProofs uint32 `json:"stale_proofs"`
	// StaleSyncs are requests whose lastsync is not the last Tsync sent.
	StaleSyncs uint32 `json:"stale_syncs"`
	// Issued passwords, and how many of them have been verified.
	Issued   uint32 `json:"issued"`
	Verified uint32 `json:"verified"`
}

// Totals sums the tallies of all devices; the peaks are the highest of any.
func (s *Simulator) Totals() Counters {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	var sum Counters
	for _, d := range s.registry.devices {
		d.mu.Lock()
		sum.add(&d.counters)
		d.mu.Unlock()
	}
	return sum
}

func (t *Counters) add(o *Counters) {
	t.Requests += o.Requests
	t.Setups += o.Setups
	t.Finalizes += o.Finalizes
	t.MaxFinalizesPerChallenge = max(t.MaxFinalizesPerChallenge, o.MaxFinalizesPerChallenge)
	t.Overlaps += o.Overlaps
	t.Activations += o.Activations
	t.Step += o.Step
	t.Moves += o.Moves
	t.Acknowledged += o.Acknowledged
	t.WrongInARow = max(t.WrongInARow, o.WrongInARow)
	t.WrongPeak = max(t.WrongPeak, o.WrongPeak)
	t.WrongProofs += o.WrongProofs
	t.WrongPINs += o.WrongPINs
	t.StaleProofs += o.StaleProofs
	t.StaleSyncs += o.StaleSyncs
	t.Issued += o.Issued
	t.Verified += o.Verified
}
