package otp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Snapshot is what an Update decides on: what a store has at one moment.
type Snapshot struct {
	Row      Row       // of Revision 0 when the account has no row
	Now      time.Time // the store's time
	Response *Kept     // what is stored of the call that had the key; nil when nothing is
	// Fault is why the Vault of the Row, which is Unopened then, or the Response cannot be opened. A sealing store sets it.
	Fault error
}

// Decision is what is made of a Snapshot.
type Decision struct {
	// Write is to be stored; nil for nothing. Its Over is left to the store.
	Write *Write
	// Result is what the caller of Update wants to know. A store hands it on.
	Result any
}

// Decide calls decide with the snapshot. A panic becomes an error that wraps ErrUntouched.
func Decide(decide func(Snapshot) Decision, found Snapshot) (d Decision, err error) {
	err = CatchPanic(func() error {
		d = decide(found)
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUntouched, err)
	}
	return d, err
}

// Swapper is the writing half of a Store, by compare-and-swap.
type Swapper interface {
	Create(ctx context.Context, w Write) error
	Replace(ctx context.Context, w Write) error
}

// updateTries is how often UpdateInSteps decides about a row that other writers keep changing.
const updateTries = 3

// UpdateInSteps is Store.Update for a store that reads and writes in two steps. When another writer changes the row between the
// two, it reads again after a pause, three times in all; then it returns ErrConflict or ErrExists.
func UpdateInSteps(
	ctx context.Context, read func(context.Context) (Snapshot, error), store Swapper, decide func(Snapshot) Decision,
) (Decision, error) {
	for tries := 1; ; tries++ {
		found, err := read(ctx)
		if err != nil {
			return Decision{}, untouched(err)
		}
		d, err := Decide(decide, found)
		if err != nil || d.Write == nil {
			return d, err
		}
		w, verb := *d.Write, store.Create
		if w.Row.Revision != 1 {
			w.Over, verb = found.Row.Body, store.Replace
		}
		err = verb(ctx, w)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) || tries == updateTries {
			return d, err
		}
		select {
		case <-ctx.Done():
			return d, err
		case <-time.After(jittered(firstPause << tries)):
		}
	}
}

// untouched adds to an error that nothing was stored.
func untouched(err error) error {
	if errors.Is(err, ErrUntouched) || errors.Is(err, ErrBroken) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUntouched, err)
}
