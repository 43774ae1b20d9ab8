package sqlite

import (
	"context"

	"github.com/pimsd/pimsd/internal/storequeue"
)

// stepRows bounds how many rows one step of housekeeping changes of a kind, and so how long the writes that share its transaction wait for
// it: 2 ms or so. With the pauses between steps there is room for more than ten thousand rows a second.
const stepRows = 128

// deleteInSteps is storequeue.InSteps with steps of which each is a write among those of callers.
func (s *Store) deleteInSteps(ctx context.Context, step func(on target) (more bool, failure error)) error {
	return storequeue.InSteps(ctx, func(ctx context.Context) (more bool, err error) {
		err = s.writer.change(ctx, func(on target) (refusal, failure error) {
			more, failure = step(on)
			return nil, failure
		})
		return more, err
	})
}
