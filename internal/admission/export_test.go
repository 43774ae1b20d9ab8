package admission

// Remembered counts the callers that are known.
func (r *Rates) Remembered() int { return len(r.young) + len(r.old) }

// Free counts the places that no call has.
func (g *Gate) Free() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside.size - g.inside.taken
}

// Remembered counts the callers and accounts that are known.
func (g *Gate) Remembered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.inside.callers) + len(g.inside.accounts) + len(g.waiting.callers) + len(g.waiting.accounts)
}
