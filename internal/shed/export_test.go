package shed

// Remembered counts the callers that are known.
func (r *Rates) Remembered() int { return len(r.young) + len(r.old) }
