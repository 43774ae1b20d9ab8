package admission

// The shares of free places. A caller may have three times as many places as are free, so it leaves a quarter of
// those that it finds: one caller alone at least (n-3)/4 of n places, a second one a quarter of these. The last of all places are
// for callers that have none, so that a few callers together leave some as well. An account may have a sixteenth of the free
// places, since its device serves one call at a time, and at least two, so that its status can be asked for meanwhile.
const (
	callerShare   = 3
	firstShare    = 32 // one of so many places is for a caller that has none
	accountShare  = 16
	accountPlaces = 2
)

// Call is what a place is taken for.
type Call struct {
	Caller  string
	Account string // empty when the call is about none, and is bounded by its caller's share alone
}

// places counts how many of a number of places each caller has.
type places struct {
	size     int
	taken    int
	callers  map[string]int
	accounts map[string]int
}

func newPlaces(size int) places {
	return places{size: size, callers: map[string]int{}, accounts: map[string]int{}}
}

// admit takes a place for the call, and reports whether there was one that its caller and its account may have.
func (p *places) admit(c Call) bool {
	free := p.size - p.taken
	if free <= p.size/firstShare && p.callers[c.Caller] > 0 {
		return false
	}
	if free <= 0 || p.callers[c.Caller] >= callerShare*free {
		return false
	}
	if c.Account != "" && p.accounts[c.Account] >= max(accountPlaces, free/accountShare) {
		return false
	}
	p.taken++
	p.callers[c.Caller]++
	p.accounts[c.Account]++
	return true
}

// release returns the place of the call back.
func (p *places) release(c Call) {
	p.taken--
	decrement(p.callers, c.Caller)
	decrement(p.accounts, c.Account)
}

// decrement counts one less, and forgets a name that has none left.
func decrement(counts map[string]int, name string) {
	if counts[name]--; counts[name] == 0 {
		delete(counts, name)
	}
}
