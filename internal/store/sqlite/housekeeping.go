package sqlite

import (
	"context"
	"time"
)

const (
	// stepRows bounds how many rows one step of housekeeping changes of a kind, and so how long the writes that share its
	// transaction wait for it: 2 ms or so.
	stepRows = 128
	// stepRests is for how many times its own length each step leaves the writer to others. What remains is room for
	// more than ten thousand rows a second.
	stepRests = 2
)

// deleteInSteps repeats step until it reports that there is no more to do, or ctx ends. Each step is a write among those of
// callers. A ctx that ends after the first step is no error: the next call goes on.
func (s *Store) deleteInSteps(ctx context.Context, step func(on target) (more bool, failure error)) error {
	for n := 0; ; n++ {
		began, more := time.Now(), false
		err := s.writer.change(ctx, func(on target) (refusal, failure error) {
			more, failure = step(on)
			return nil, failure
		})
		switch {
		case n > 0 && ctx.Err() != nil:
			return nil //nolint:nilerr // the next call goes on
		case err != nil || !more:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(stepRests * time.Since(began)):
		}
	}
}
