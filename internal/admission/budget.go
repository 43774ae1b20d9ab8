package admission

import "sync"

// Budget rations what is sent twice: at most a share of what was sent once, and a small stock to begin with, so that
// repeats never multiply the load of a host that is in trouble. It is safe for concurrent use.
type Budget struct {
	percent int

	mu    sync.Mutex
	stock int // in hundredths of a repeat
}

// stocked is how many repeats are saved up at most.
const stocked = 10

// NewBudget returns a full one for percent repeats in a hundred; with 0 there is none.
func NewBudget(percent int) *Budget {
	b := &Budget{percent: percent}
	if percent > 0 {
		b.stock = stocked * 100
	}
	return b
}

// Earn counts what is sent for the first time.
func (b *Budget) Earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stock = min(b.stock+b.percent, stocked*100)
}

// Spend reports whether something may be sent again, and counts it.
func (b *Budget) Spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stock < 100 {
		return false
	}
	b.stock -= 100
	return true
}
