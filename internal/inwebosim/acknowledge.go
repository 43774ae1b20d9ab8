package inwebosim

import "slices"

// movement is what the keys of a device were after a request: the step that the answer may tell its client.
type movement struct {
	device    *device // nil for a request that moves no keys
	number    uint32  // the device's Moves
	k0, k1    key
	isCarried bool // the answer carries keys
}

// movement returns the keys as they stand; d.mu is held.
func (d *device) movement() movement {
	return movement{device: d, number: d.counters.Moves, k0: d.k0, k1: d.k1}
}

// acknowledge records that the answer with these keys is about to be sent. An older answer changes nothing.
func (m movement) acknowledge() {
	if m.device == nil || !m.isCarried {
		return
	}
	d := m.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.number >= d.counters.Acknowledged {
		d.counters.Acknowledged = m.number
		d.acked.k0, d.acked.k1 = m.k0, m.k1
	}
}

// carriesKeys reports whether an answer tells its client other keys.
func carriesKeys(ans answer) bool {
	return ans.get("K0") != "" || ans.get("K1") != "" || ans.get("dK1") != ""
}

// keepsStep reports whether a client can use the step of an answer that the fault befalls.
func (n *Fault) keepsStep(ans answer) bool {
	switch n.Kind {
	case "", KindDelay, KindDrip:
		return true
	case KindErr, KindExtra:
		return !slices.ContainsFunc(stepFields(), n.touches)
	case KindCut:
		return n.isWhole(ans)
	case KindForm:
		return n.form().StepUsable()
	default:
		return false
	}
}

// touches reports whether the fault adds or leaves out an element of that name.
func (n *Fault) touches(name string) bool {
	return slices.Contains(n.Drop, name) || slices.ContainsFunc(n.Fields, func(f Field) bool { return f.Name == name })
}
