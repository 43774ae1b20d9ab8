package admission

import "sync"

// Budget rations what is sent twice: at most a share of what was sent once, and a few to begin with, so that
// repeats never multiply the load of a host that is in trouble. It is safe for concurrent use.
type Budget struct {
	percent int

	mu     sync.Mutex
	credit int // in hundredths of a repeat
}

// maxSaved is how many repeats are saved up at most, and how many there are at first.
const maxSaved = 10

// NewBudget returns a full one for percent repeats in a hundred; with 0 there is none.
func NewBudget(percent int) *Budget {
	b := &Budget{percent: percent}
	if percent > 0 {
		b.credit = maxSaved * 100
	}
	return b
}

// Earn counts what is sent for the first time.
func (b *Budget) Earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.credit = min(b.credit+b.percent, maxSaved*100)
}

// Spend reports whether something may be sent again, and counts it.
func (b *Budget) Spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit < 100 {
		return false
	}
	b.credit -= 100
	return true
}
