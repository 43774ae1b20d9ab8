package otp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Snapshot is what an Update decides on: what a store has at one moment.
type Snapshot struct {
	Row         Row             // of Revision 0 when the account has no row
	Now         time.Time       // the store's time
	Response    *StoredResponse // what is stored of the call that had the key; nil when nothing is
	KeysVersion KeysVersion     // that of the store; 0 if it has no keys
	Fault       error           // why a sealing store cannot open the Secrets of the Row, which is Unopened then, or the Response
}

// Decision is what is made of a Snapshot.
type Decision struct {
	// Write is to be stored; nil for nothing. Its Over is left to the store.
	Write *Write
	// Result is what the caller of Update wants to know. A store hands it on.
	Result any
	// Early says that the caller of Update goes on before the Write is durable, if the store can do that, and waits for Pending later.
	Early bool
	// Pending is set by a store that has returned early, with a nil error: the Write may yet fail, but no other write of the row can come
	// before it. It is nil when the Write is durable.
	Pending Pending
}

// Pending is a Write that is becoming durable.
type Pending interface {
	// Wait returns the result of the Write, or an error when ctx ends first. It may be called again. Its errors are those of Store.Update
	// that do not depend on the row: ErrNotApplied, ErrBroken, and those that leave the result open.
	Wait(ctx context.Context) error
}

// Decide calls decide with the snapshot. A panic becomes an error that wraps ErrNotApplied.
func Decide(decide func(Snapshot) Decision, found Snapshot) (d Decision, err error) {
	err = CatchPanic(func() error {
		d = decide(found)
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNotApplied, err)
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

// updatePauses is the longest that UpdateInSteps pauses between its tries.
const updatePauses = firstPause<<1 + firstPause<<2

// UpdateInSteps is Store.Update for a store that reads and writes in two steps. When another writer changes the row between the
// two, it reads again after a pause, three times in all; then it returns ErrConflict or ErrExists.
func UpdateInSteps(
	ctx context.Context, read func(context.Context) (Snapshot, error), store Swapper, decide func(Snapshot) Decision,
) (Decision, error) {
	for tries := 1; ; tries++ {
		found, err := read(ctx)
		if err != nil {
			return Decision{}, notApplied(err)
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

// notApplied adds to an error that nothing was stored.
func notApplied(err error) error {
	if errors.Is(err, ErrNotApplied) || errors.Is(err, ErrBroken) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotApplied, err)
}
