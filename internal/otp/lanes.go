package otp

import (
	"context"
	"sync"
	"time"
)

// lanes queue the callers of one process, an account a lane, so that they need not fight over the record.
type lanes struct {
	mu   sync.Mutex
	open map[Account]*lane
}

// lane lets one in at a time; entered counts those inside and waiting.
type lane struct {
	turn    chan struct{}
	entered int
}

func newLanes() *lanes { return &lanes{open: make(map[Account]*lane)} }

// enter waits for the account's turn, until patience at the latest. leave is to be called once, by its holder then; the
// error is the context's. A lane that is free is entered at once, even by who would not wait at all.
func (l *lanes) enter(ctx context.Context, account Account, patience time.Time) (leave func(), err error) {
	a := l.join(account)
	leave = func() {
		<-a.turn
		l.part(account, a)
	}
	select {
	case a.turn <- struct{}{}:
		return leave, nil
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, patience)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		l.part(account, a)
		return nil, ctx.Err()
	}
}

func (l *lanes) join(account Account) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.open[account]
	if a == nil {
		a = &lane{turn: make(chan struct{}, 1)}
		l.open[account] = a
	}
	a.entered++
	return a
}

func (l *lanes) part(account Account, a *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.entered--; a.entered == 0 {
		delete(l.open, account)
	}
}
